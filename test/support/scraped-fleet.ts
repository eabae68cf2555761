import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { openCache } from "../../scripts/lib/cache.ts";
import { type MongoRelay, relayMongo } from "../../scripts/lib/mongo-relay.ts";
import { freePort, startPrivateMongo } from "../../scripts/lib/private-mongo.ts";
import { PrivatePrometheus } from "../../scripts/lib/prometheus.ts";
import { openRun } from "../../scripts/lib/run-dir.ts";
import { eventually } from "./eventually.ts";
import { FakeApi } from "./fake-api.ts";
import { Fenced } from "./fenced.ts";
import { rulesFor } from "./rules.ts";
import { TestRuntime } from "./runtime.ts";

export const SELECTOR = 'namespace="bots", service="runtime-service"';
const ENGINE = join(import.meta.dirname, "scripted-engine.ts");
const [PODS, LIMIT_MS] = [["pod-a", "pod-b", "pod-c"], 60_000] as const;

export type ScrapedPod = { readonly name: string; readonly runtime: TestRuntime; readonly fence: Fenced };
type Parts = Pick<ScrapedFleet, "prometheus" | "api" | "relay" | "pods">;

/** Three real runtimes on a real MongoDB, each behind a real fence, and a real Prometheus that scrapes them each second. Their
 *  Engines and their API server are words: what they would do with real ones is told by other tests. */
export class ScrapedFleet {
  readonly prometheus: PrivatePrometheus;
  readonly api: FakeApi;
  /** Between the runtimes and MongoDB. */
  readonly relay: MongoRelay;
  readonly pods: readonly ScrapedPod[];
  readonly #undo: AsyncDisposableStack;

  private constructor({ prometheus, api, relay, pods }: Parts, undo: AsyncDisposableStack) {
    this.prometheus = prometheus;
    this.api = api;
    this.relay = relay;
    this.pods = pods;
    this.#undo = undo;
  }

  /** The pods get no further than to listen before each was scraped: there is no API server, so no session and no leader. */
  static async open(): Promise<ScrapedFleet> {
    const run = await openRun();
    const undo = new AsyncDisposableStack();
    undo.defer(run.remove);
    try {
      const place = { runDir: run.dir, cacheDir: await openCache(process.env), say: () => {} };
      const mongo = await startPrivateMongo(place);
      undo.defer(mongo.stop);
      const relay = await relayMongo(mongo.port, () => ({}));
      undo.defer(relay.stop);
      const api = new FakeApi();
      const apiPort = await freePort("127.0.0.1");
      const kubeconfig = join(run.dir, "kubeconfig");
      await writeFile(kubeconfig, JSON.stringify(kubeconfigFor(`http://127.0.0.1:${apiPort}`)));
      api.put("deployments", {
        metadata: { name: "runtime", uid: "deployment-1" },
        spec: { replicas: 3 },
        status: { replicas: 3, updatedReplicas: 3 },
      });
      const shared = { KUBECONFIG: kubeconfig, DB_NAME: "scraped", MONGO_URI: `mongodb://127.0.0.1:${relay.port}/?directConnection=true` };
      const pods: ScrapedPod[] = [];
      const targets: { readonly targets: readonly string[]; readonly labels: object }[] = [];
      for (const name of PODS) {
        const dir = join(run.dir, name);
        await mkdir(dir);
        const socket = join(dir, "docker.sock");
        const fence = await Fenced.start({ command: [process.execPath, ENGINE, socket] });
        undo.defer(() => fence[Symbol.asyncDispose]());
        // The port is its own: who comes back after a fall is the same target.
        const port = await freePort("127.0.0.1");
        const env = { ...podEnv(name), ...shared, HTTP_PORT: String(port), DOCKER_HOST: `unix://${socket}`, FENCE_DIR: fence.dir };
        const runtime = new TestRuntime(env, mongo.uri);
        undo.defer(() => runtime.dispose());
        await runtime.spawn();
        pods.push({ name, runtime, fence });
        targets.push({ targets: [`127.0.0.1:${port}`], labels: { namespace: "bots", service: "runtime-service", pod: name } });
      }
      undo.defer(async () => void (await Promise.all(pods.map(({ runtime }) => runtime.kill()))));
      undo.defer(() => api.stop());
      const scrapes = [{ job_name: "runtime", static_configs: targets }];
      const prometheus = await PrivatePrometheus.start({ ...place, scrapes, rules: rulesFor(SELECTOR), everySeconds: 1 });
      undo.defer(prometheus.stop);
      const fleet = new ScrapedFleet({ prometheus, api, relay, pods }, undo);
      await fleet.sees(`count(botrunner_leader{${SELECTOR}} == 0) == ${PODS.length}`);
      await api.start(apiPort);
      return fleet;
    } catch (error) {
      await undo.disposeAsync();
      throw error;
    }
  }

  /** Waits until a query has an answer. */
  sees(query: string): Promise<unknown> {
    const said = () => this.pods.map(({ name, runtime }) => `${name}: ${JSON.stringify(runtime.lines.slice(-4))}`);
    const seen = async () => [await this.prometheus.last(query.replace(/ (==|>) \d+$/, "")), ...said()].join("\n");
    return eventually(`Prometheus sees ${query}`, async () => (await this.prometheus.last(query)) !== undefined, LIMIT_MS, seen);
  }

  /** The first pod whose figures say so. */
  async find(says: RegExp): Promise<ScrapedPod> {
    for (const pod of this.pods) if (says.test((await pod.runtime.get("/metrics")).text)) return pod;
    throw new Error(`Cannot find a pod that says ${String(says)}`);
  }

  async close(): Promise<void> {
    await this.#undo.disposeAsync();
  }
}

function podEnv(name: string): NodeJS.ProcessEnv {
  return {
    COORDINATION: "kubernetes",
    POD_NAME: name,
    POD_UID: name,
    NAMESPACE: "bots",
    DEPLOYMENT_NAME: "runtime",
    MAX_SEGMENT: "64",
    MIN_REPLICAS: "3",
    MAX_REPLICAS: "40",
    BACKLOG_PATIENCE_SECONDS: "1",
  };
}

function kubeconfigFor(server: string): object {
  return {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "c", cluster: { server, "insecure-skip-tls-verify": true } }],
    users: [{ name: "u", user: {} }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u", namespace: "bots" } }],
    "current-context": "x",
  };
}
