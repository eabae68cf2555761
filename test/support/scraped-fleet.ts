import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { openCache } from "../../scripts/lib/cache.ts";
import { namesInSegments } from "../../scripts/lib/cluster/product.ts";
import { freePort } from "../../scripts/lib/private-mongo.ts";
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

type Pod = { readonly name: string; readonly runtime: TestRuntime };

/** Three real runtimes on the suite's MongoDB, each behind a real fence, and a real Prometheus that scrapes them each second. Their
 *  Engines and their API server are words: what they would do with real ones is told by other tests. */
export class ScrapedFleet {
  readonly prometheus: PrivatePrometheus;
  readonly #pods: readonly Pod[];
  readonly #undo: readonly (() => Promise<unknown>)[];

  private constructor(parts: { prometheus: PrivatePrometheus; pods: readonly Pod[]; undo: readonly (() => Promise<unknown>)[] }) {
    this.prometheus = parts.prometheus;
    this.#pods = parts.pods;
    this.#undo = parts.undo;
  }

  /** The pods get no further than to listen before each was scraped: there is no API server, so no session and no leader. */
  static async open(): Promise<ScrapedFleet> {
    const run = await openRun();
    const undo: (() => Promise<unknown>)[] = [run.remove];
    try {
      const api = new FakeApi();
      const apiPort = await freePort("127.0.0.1");
      const kubeconfig = join(run.dir, "kubeconfig");
      await writeFile(kubeconfig, JSON.stringify(kubeconfigFor(`http://127.0.0.1:${apiPort}`)));
      api.put("deployments", {
        metadata: { name: "runtime", uid: "deployment-1" },
        spec: { replicas: 3 },
        status: { replicas: 3, updatedReplicas: 3 },
      });
      const dbName = `br_${randomBytes(5).toString("hex")}`;
      const pods: Pod[] = [];
      for (const name of PODS) {
        const dir = join(run.dir, name);
        await mkdir(dir);
        const socket = join(dir, "docker.sock");
        const fence = await Fenced.start({ command: [process.execPath, ENGINE, socket] });
        undo.push(() => fence[Symbol.asyncDispose]());
        const env = { ...podEnv(name, kubeconfig), DB_NAME: dbName, DOCKER_HOST: `unix://${socket}`, FENCE_DIR: fence.dir };
        const runtime = new TestRuntime(env);
        undo.push(() => runtime.dispose());
        await runtime.spawn();
        pods.push({ name, runtime });
      }
      undo.push(() => Promise.all(pods.map(({ runtime }) => runtime.kill())));
      undo.push(() => api.stop());
      const targets = [];
      for (const { name, runtime } of pods) {
        const port = await eventually(`${name} listens`, async () => runtime.port || undefined, LIMIT_MS);
        targets.push({ targets: [`127.0.0.1:${port}`], labels: { namespace: "bots", service: "runtime-service", pod: name } });
      }
      const place = { runDir: run.dir, cacheDir: await openCache(process.env), say: () => {} };
      const prometheus = await PrivatePrometheus.start({
        ...place,
        scrapes: [{ job_name: "runtime", static_configs: targets }],
        rules: rulesFor(SELECTOR),
        everySeconds: 1,
      });
      undo.push(prometheus.stop);
      const fleet = new ScrapedFleet({ prometheus, pods, undo });
      await fleet.sees(`count(botrunner_leader{${SELECTOR}} == 0) == ${PODS.length}`);
      await api.start(apiPort);
      return fleet;
    } catch (error) {
      await undoAll(undo);
      throw error;
    }
  }

  /** Waits until a query has an answer. */
  sees(query: string): Promise<unknown> {
    const said = () => this.#pods.map(({ name, runtime }) => `${name}: ${JSON.stringify(runtime.lines.slice(-4))}`);
    const seen = async () => [await this.prometheus.last(query.replace(/ (==|>) \d+$/, "")), ...said()].join("\n");
    return eventually(`Prometheus sees ${query}`, async () => (await this.prometheus.last(query)) !== undefined, LIMIT_MS, seen);
  }

  /** What makes the numbers move: bots come, one of them invalid; one is disabled; a worker's bots move to another; the leader
   *  goes. Each step waits until Prometheus has seen the one before. */
  async live(): Promise<void> {
    const running = `sum(botrunner_bots{${SELECTOR}, state="running"})`;
    await this.sees(`max(botrunner_replicas_desired{${SELECTOR}}) == 3`);
    const [leading, ids] = [/^botrunner_leader 1$/m, namesInSegments(3)];
    const { bots } = (await this.#find(leading)).runtime;
    const documents = ids.map((_id) => ({ _id, image: "bot-runner/demo-bot:1", stopGraceSeconds: 1 }));
    await bots.insertMany([...documents, { _id: "unreadable", image: 5 }]);
    await this.sees(`${running} == 3`);
    await this.sees(`max(botrunner_replicas_desired{${SELECTOR}}) == 4`);
    await this.sees(`max(botrunner_bots{${SELECTOR}, state="invalid"}) == 1`);
    await bots.updateOne({ _id: ids[0] ?? "" }, { $set: { enabled: false } });
    await this.sees(`sum(botrunner_bot_exits_total{${SELECTOR}, reason="stopped"}) == 1`);
    const worker = await this.#find(/^botrunner_bots\{state="running"\} [1-9]/m);
    await worker.runtime.stop();
    await this.sees(`sum(botrunner_handover_gap_seconds_count{${SELECTOR}}) > 0`);
    await this.sees(`${running} == 2`);
    await this.sees(`max(botrunner_workers_available{${SELECTOR}}) == 1`);
    const leader = await this.#find(leading);
    await leader.runtime.stop();
    await this.sees(`count(botrunner_build_info{${SELECTOR}}) == 1`);
    await this.sees(`sum(botrunner_leader{${SELECTOR}}) == 1`);
  }

  async #find(says: RegExp): Promise<Pod> {
    for (const pod of this.#pods) if (says.test((await pod.runtime.get("/metrics")).text)) return pod;
    throw new Error(`Cannot find a pod that says ${String(says)}`);
  }

  async close(): Promise<void> {
    await undoAll(this.#undo);
  }
}

function podEnv(name: string, kubeconfig: string): NodeJS.ProcessEnv {
  return {
    COORDINATION: "kubernetes",
    KUBECONFIG: kubeconfig,
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

async function undoAll(steps: readonly (() => Promise<unknown>)[]): Promise<void> {
  for (const step of steps.toReversed()) await step();
}
