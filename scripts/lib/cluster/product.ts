// The product in a cluster: one release of the chart with its database, and what tests and benches ask of it.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { type Collection, type Db, MongoClient } from "mongodb";

import type { BotId } from "../../../src/core/ids.ts";
import { segmentOf } from "../../../src/core/segment.ts";
import { run, until } from "../command.ts";
import { type Asked, readAudit } from "./audit.ts";
import type { Cluster } from "./cluster.ts";
import { mergeValues } from "./merge-values.ts";
import { describePod, type Pod, type RawPods, readPods } from "./pods.ts";

export interface ReleaseOptions {
  /** `bin`: where kubectl and Helm lie; empty: wherever the PATH says. */
  readonly cluster: Pick<Cluster, "runDir" | "kubeconfig" | "bin" | "auditLog">;
  readonly namespace: string;
  /** Of a MongoDB that pods reach. */
  readonly mongoUri: string;
  /** A database of its own. @default the namespace's name */
  readonly database?: string;
  /** Which Helm installs it. @default "helm4" */
  readonly helm?: "helm" | "helm3" | "helm4";
  /** @default 64 */
  readonly maxSegment?: number;
  /** Values of every install and upgrade. */
  readonly values: Readonly<Record<string, unknown>>;
}

/** A bot's document as far as it matters here. */
export type BotDocument = { readonly _id: string; readonly image: string; readonly [field: string]: unknown };

const MAX_SEGMENT = 64;
const NAME = "runtime";
const chart = join(import.meta.dirname, "..", "..", "..", "chart");

export class Release {
  readonly options: ReleaseOptions;
  readonly #client: MongoClient;

  constructor(options: ReleaseOptions) {
    this.options = options;
    this.#client = new MongoClient(options.mongoUri);
  }

  get db(): Db {
    return this.#client.db(this.options.database ?? this.options.namespace);
  }
  get bots(): Collection<BotDocument> {
    return this.db.collection("bots");
  }

  /** For commands as people type them. */
  get env(): NodeJS.ProcessEnv {
    const { bin, kubeconfig } = this.options.cluster;
    return { ...process.env, KUBECONFIG: kubeconfig, ...(bin !== "" && { PATH: `${bin}:${process.env["PATH"]}` }) };
  }

  kubectl(...words: readonly string[]): Promise<string> {
    return this.#run("kubectl", ["--request-timeout=20s", "-n", this.options.namespace, ...words]);
  }

  /** `helm install`, or an upgrade of what is there, with the base values and these over them. */
  async install(values: Readonly<Record<string, unknown>> = {}, verb: "install" | "upgrade" = "install"): Promise<string> {
    const { cluster, namespace, mongoUri, helm = "helm4", maxSegment = MAX_SEGMENT } = this.options;
    const path = join(cluster.runDir, `${namespace}-values.json`);
    const mongodb = { uri: mongoUri, database: this.db.databaseName };
    const bots = { maxSegment };
    await writeFile(path, JSON.stringify(mergeValues({ mongodb, bots }, mergeValues(this.options.values, values))));
    const more = verb === "install" ? ["--create-namespace"] : [];
    return this.#run(helm, [verb, NAME, chart, "-n", namespace, "-f", path, ...more]);
  }

  /** Makes the object as it is given, or changes what is there. */
  async apply(object: object): Promise<void> {
    const { cluster, namespace } = this.options;
    const path = join(cluster.runDir, `${namespace}-object.json`);
    await writeFile(path, JSON.stringify(object));
    await this.kubectl("apply", "-f", path);
  }

  /** Back to what was installed before the last upgrade. */
  rollback(): Promise<string> {
    return this.#run(this.options.helm ?? "helm4", ["rollback", NAME, "-n", this.options.namespace]);
  }

  uninstall(): Promise<string> {
    return this.#run(this.options.helm ?? "helm4", ["uninstall", NAME, "-n", this.options.namespace]);
  }

  /** Objects in the namespace, but for those that every namespace has. */
  async left(): Promise<string[]> {
    const kinds = "all,leases,configmaps,secrets,serviceaccounts,roles,rolebindings,poddisruptionbudgets";
    const names = (await this.kubectl("get", kinds, "-o", "name")).trim().split("\n");
    return names.filter((name) => !["", "configmap/kube-root-ca.crt", "serviceaccount/default"].includes(name));
  }

  /** `helm test`: what it printed. @throws with that when the test failed */
  test(): Promise<string> {
    return this.#run(this.options.helm ?? "helm4", ["test", NAME, "-n", this.options.namespace, "--timeout", "100s"]);
  }

  async pods(): Promise<Pod[]> {
    return readPods(JSON.parse(await this.kubectl("get", "pods", "-l", `app.kubernetes.io/instance=${NAME}`, "-o", "json")) as RawPods);
  }

  /** Waits until there are exactly so many pods, all of them ready. @throws naming the pods that there were instead */
  async awaitPods(count: number, timeoutMs = 180_000): Promise<Pod[]> {
    let pods: Pod[] = [];
    const look = async () => {
      pods = await this.pods();
      return pods.length === count && pods.every(({ isReady, isTerminating }) => isReady && !isTerminating) ? pods : undefined;
    };
    return until(`${count} ready pods`, timeoutMs, look).catch((cause: unknown) => {
      throw new Error(`${String(cause)}; the pods at the last look:\n${pods.map(describePod).join("\n")}`, { cause });
    });
  }

  /** Waits until as many pods as these were are ready, and none of these is left. */
  awaitReplaced(old: readonly Pod[], timeoutMs: number): Promise<Pod[]> {
    return until("new pods alone", timeoutMs, async () => {
      const now = await this.pods();
      const isNew = now.every(({ uid, isReady }) => isReady && old.every((pod) => pod.uid !== uid));
      return isNew && now.length === old.length ? now : undefined;
    });
  }

  /** Waits until all bots run, and no worker has more than so many of them. */
  async awaitSpread(bots: readonly string[], timeoutMs: number, most = 1): Promise<void> {
    await until(`all bots, at most ${most} on a worker`, timeoutMs, async () => {
      const states = await this.states();
      if (!areRunning(states, bots)) return undefined;
      const loads = Map.groupBy(states.values(), ({ worker }) => worker);
      return [...loads.values()].every(({ length }) => length <= most) || undefined;
    });
  }

  /** Waits until no pod is there, not even one that ends. */
  async awaitGone(timeoutMs = 120_000): Promise<void> {
    await until("the end of all pods", timeoutMs, async () => (await this.pods()).length === 0 || undefined);
  }

  /** The pod whose session holds the Lease and lives. */
  async leader(): Promise<Pod> {
    return until("a leader", 60_000, async () => {
      const holder = await this.kubectl("get", "lease", NAME, "-o", "jsonpath={.spec.holderIdentity}");
      return (await this.pods()).find(({ uid, isTerminating }) => holder.split("/")[0] === uid && !isTerminating);
    });
  }

  /** Bots by state, as their owners report them. */
  async states(): Promise<Map<string, { readonly state: string; readonly worker: string; readonly container: string }>> {
    const found = await this.db.collection<RawStatus>("runtime.status").find().toArray();
    return new Map(found.map(({ _id, state, worker, container }) => [_id, { state, worker, container }]));
  }

  /** Waits until exactly these bots run, and gives their containers. `everyMs`: between two looks. */
  awaitRunning(ids: readonly string[], timeoutMs = 180_000, everyMs = 50): Promise<Map<string, string>> {
    const look = async () => {
      const states = await this.states();
      return areRunning(states, ids) ? new Map([...states].map(([id, { container }]) => [id, container])) : undefined;
    };
    return until(`${ids.length} running bots`, timeoutMs, look, everyMs);
  }

  /** What a pod tells of the fleet; undefined while it has no figures. */
  async figures(pod: string): Promise<Readonly<Record<string, number>> | undefined> {
    const text = await this.kubectl("exec", pod, "--", "curl", "-s", "localhost:8080/metrics/segments");
    const figures = JSON.parse(text) as Record<string, number>;
    return "reason" in figures ? undefined : figures;
  }

  /** Requests in this namespace. */
  async audit(): Promise<Asked[]> {
    return (await readAudit(this.options.cluster.auditLog)).filter(({ namespace }) => namespace === this.options.namespace);
  }

  /** Counts that were written, in their order. */
  async scalings(): Promise<Asked[]> {
    const asked = await this.audit();
    return asked.filter(({ resource, verb, status }) => resource === "deployments/scale" && verb === "update" && status === 200);
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  #run(program: string, words: readonly string[]): Promise<string> {
    const { bin } = this.options.cluster;
    return run(bin === "" ? program : join(bin, program), words, { env: this.env, timeoutMs: 120_000 });
  }
}

/** So many names whose bots lie in a segment each, none of them among those taken. */
export function namesInSegments(count: number, taken: readonly string[] = [], maxSegment = MAX_SEGMENT): string[] {
  const segments = new Set(taken.map((id) => segmentOf(id as BotId, maxSegment)));
  const names: string[] = [];
  for (let n = 1; names.length < count; n++) {
    const name = `bot-${n}`;
    const segment = segmentOf(name as BotId, maxSegment);
    if (segments.has(segment)) continue;
    segments.add(segment);
    names.push(name);
  }
  return names;
}

type RawStatus = { readonly _id: string; readonly state: string; readonly worker: string; readonly container: string };

/** Whether these bots run, and there are no others. */
function areRunning(states: ReadonlyMap<string, { readonly state: string }>, ids: readonly string[]): boolean {
  return states.size === ids.length && ids.every((id) => states.get(id)?.state === "running");
}
