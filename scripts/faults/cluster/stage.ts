// The fleet in a cluster that faults happen to: the chart's release, as many pods as it is told, and beacons as bots.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import type { Db } from "mongodb";

import type { SegmentRecord, StatusRecord, WorkerRecord } from "../../../src/core/records.ts";
import { KUBERNETES_TIMINGS } from "../../../src/core/timings.ts";
import { type Get, openApi, readiness } from "../../lib/cluster/api.ts";
import type { Cluster } from "../../lib/cluster/cluster.ts";
import { ClusterFleet } from "../../lib/cluster/fleet.ts";
import { type Pod, type RawPods, readPods } from "../../lib/cluster/pods.ts";
import type { Release } from "../../lib/cluster/product.ts";
import { chartValues } from "../../lib/cluster/values.ts";
import type { Say } from "../../lib/cache.ts";
import { type Bounds, boundsOf, type Profile } from "../bounds.ts";
import { type Companion, startCompanion } from "../companion.ts";
import type { Lag, LagAnswers } from "../lag-meter.ts";
import type { Run } from "../runs.ts";
import { CALM_LOOK_MS } from "../scene.ts";
import type { StoreRelayAnswers } from "../store-relay.ts";
import { type Books, bootTimeMs, botsByPod, type Placement, type Stage } from "../stage.ts";
import { findUnsettled } from "../unsettled.ts";
import { BookWatch } from "./book-watch.ts";
import { findSilentLeases, type RawLeases } from "./silent-leases.ts";

export type ClusterStageOptions = {
  readonly say: Say;
  readonly profile: Profile;
  readonly nodes: number;
  /** Pods, the leader's among them: each has a real Engine. */
  readonly pods: number;
  readonly bots: number;
  readonly segments: number;
  readonly everyMs: number;
  /** Gets what each pod's runtime has logged: of replaced ones, and of all after a round that failed. @default nobody */
  readonly logDir?: string | undefined;
};

type StageParts = {
  readonly fleet: ClusterFleet;
  readonly lag: Companion<LagAnswers>;
  readonly store: Companion<StoreRelayAnswers>;
  readonly mongoUri: string;
  readonly get: Get;
};

const NAMESPACE = "faults";
const LEASES = `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases`;
/** The Lease of leadership. */
const ELECTION = "runtime";
/** The leader's Lease lapses after so many, and a worker in a quiet fleet renews its own after five. Source: ownership.md "Timing", O1'. */
const SILENT_RENEWALS = 8;
const START_MS = 240_000;
/** Of five pods: what two had is carried by the others meanwhile. */
const REPLACED_AT_ONCE = 2;

export class ClusterStage implements Stage<Pod> {
  readonly options: ClusterStageOptions;
  readonly bounds: Bounds;
  readonly fleet: ClusterFleet;
  readonly release: Release;
  readonly bots: readonly string[];
  readonly everyMs: number;
  /** On the way of every pod to MongoDB. */
  readonly store: Companion<StoreRelayAnswers>;
  readonly #lag: Companion<LagAnswers>;
  readonly #get: Get;
  readonly #replaced = new Set<string>();
  readonly watch: BookWatch;

  private constructor({ fleet, lag, store, get, mongoUri }: StageParts, options: ClusterStageOptions) {
    this.options = options;
    this.fleet = fleet;
    this.store = store;
    this.#lag = lag;
    this.#get = get;
    this.bounds = boundsOf(options.profile, KUBERNETES_TIMINGS);
    this.everyMs = options.everyMs;
    this.bots = [...Array(options.bots).keys()].map((n) => `bot-${n}`);
    this.release = fleet.release({ namespace: NAMESPACE, mongoUri, maxSegment: options.segments, values: valuesOf(options) });
    const read = async () => {
      const [records, placements] = await Promise.all([this.#records(), this.#placements()]);
      return { ...records, placements };
    };
    this.watch = new BookWatch(read, () => this.now());
  }

  /** Brings the cluster up; nothing is installed yet. */
  static async open(options: ClusterStageOptions): Promise<ClusterStage> {
    const fleet = await ClusterFleet.up({ ...options, isDurable: true });
    try {
      const { runDir, network } = fleet.cluster;
      const lag = await startCompanion<LagAnswers>(runDir, "lag-meter.ts");
      const store = await startCompanion<StoreRelayAnswers>(runDir, "store-relay.ts", [String(fleet.mongo.port), network.machine]);
      const mongoUri = fleet.mongo.uri.replace(`:${fleet.mongo.port}/`, `:${await store.ask("port")}/`);
      return new ClusterStage({ fleet, lag, store, mongoUri, get: await openApi(runDir, network.api) }, options);
    } catch (error) {
      await fleet.down();
      throw error;
    }
  }

  get cluster(): Cluster {
    return this.fleet.cluster;
  }

  get db(): Db {
    return this.release.db;
  }

  /** Installs the chart with its bots there already, and waits until all of them run. */
  async start(): Promise<void> {
    const { say, pods, everyMs } = this.options;
    say(`installing the chart: ${pods} pods, ${this.bots.length} bots, a datagram each ${everyMs} ms`);
    await this.release.bots.insertMany(this.bots.map((bot) => this.fleet.document(bot)));
    await this.release.install();
    await this.waitSettled(START_MS);
    this.watch.start();
  }

  now(): number {
    return bootTimeMs();
  }

  runs(): Promise<Run[]> {
    return this.fleet.sink.ask("runs");
  }

  forget(): Promise<unknown> {
    return this.fleet.sink.ask("forget");
  }

  measureLag(): Promise<Lag> {
    return this.#lag.ask("lag");
  }

  async books(): Promise<Books> {
    const [records, leader] = await Promise.all([this.#records(), this.holder()]);
    return { ...records, leader };
  }

  /** The session that holds the Lease; null as well while the API server does not answer. */
  async holder(): Promise<string | null> {
    const reply = await this.#get(`${LEASES}/${ELECTION}`).catch(() => undefined);
    return (reply?.body as { spec?: { holderIdentity?: string } } | undefined)?.spec?.holderIdentity ?? null;
  }

  /** How often the leadership has changed hands, as the database counts. */
  async term(): Promise<number> {
    return (await this.db.collection<{ _id: string; term: number }>("runtime.control").findOne({ _id: "leader" }))?.term ?? 0;
  }

  /** Pods that are not on their way out. */
  async workers(): Promise<Pod[]> {
    return (await this.#pods()).filter(({ isTerminating }) => !isTerminating);
  }

  async leader(): Promise<Pod | undefined> {
    const [{ workers, leader }, pods] = await Promise.all([this.books(), this.workers()]);
    const record = workers.find(({ _id, state }) => _id === leader && state !== "dead" && state !== "gone");
    return pods.find(({ name }) => name === record?.pod);
  }

  async botsBySeat(): Promise<ReadonlyMap<string, readonly string[]>> {
    const [books, placements, pods] = await Promise.all([this.books(), this.#placements(), this.workers()]);
    const names = pods.map(({ name }) => name);
    return botsByPod(books, placements, names);
  }

  /** Whether the node's kubelet has told lately that all is well. */
  async isNodeReady(node: string): Promise<boolean> {
    return (await readiness(this.#get, node)) === "Ready";
  }

  async isApiReady(): Promise<boolean> {
    return this.#get("/readyz").then(
      ({ status }) => status === 200,
      () => false,
    );
  }

  /** Another installation on the same database, elsewhere in the cluster, with one pod. */
  foreigner(): Release {
    const { options, fleet, db } = this;
    const values = { ...valuesOf(options), scaling: { minReplicas: 1, maxReplicas: 1 } };
    return fleet.release({ namespace: "foreigner", database: db.databaseName, maxSegment: options.segments, values });
  }

  async deletePod({ name }: Pod): Promise<void> {
    await this.release.kubectl("delete", "pod", name, "--wait=false");
  }

  /** What could not be played to its end may have left anything: everything is undone, whatever it was. */
  async revive(pod: Pod): Promise<void> {
    await this.cluster.heal();
    await this.cluster.thaw(pod.node);
    await this.cluster.boot(pod.node);
  }

  async unsettled(): Promise<string[]> {
    const pods = await this.#pods();
    const faults = pods
      .filter(({ isReady, isTerminating }) => !isReady || isTerminating)
      .map(({ name }) => `${name}: not ready, or ending`);
    if (pods.length !== this.options.pods) faults.push(`${pods.length} pods, expected ${this.options.pods}`);
    for (const node of this.cluster.nodes) if (!(await this.isNodeReady(node))) faults.push(`${node}: not ready`);
    const ended = pods.filter(({ uid, restarts, isTerminating }) => restarts > 0 && !isTerminating && !this.#replaced.has(uid));
    const isCalm = faults.length === 0;
    // A few at a time: the others carry their bots.
    for (const pod of ended.slice(0, REPLACED_AT_ONCE)) {
      if (isCalm) await this.#replace(pod);
      faults.push(`${pod.name}: to be replaced`);
    }
    const books = await this.books();
    const runs = await this.runs();
    const { bots, everyMs } = this;
    faults.push(...(await this.#silent(books)));
    return [...faults, ...findUnsettled(books, runs, this.now(), { names: pods.map(({ name }) => name), bots, everyMs })];
  }

  async waitSettled(limitMs: number): Promise<void> {
    const end = performance.now() + limitMs;
    for (let calm = 0; calm < 2;) {
      const faults = await this.unsettled().catch((error: unknown) => [String(error)]);
      calm = faults.length === 0 ? calm + 1 : 0;
      if (faults.length > 0 && performance.now() > end)
        throw new Error(`Cannot settle the fleet within ${limitMs / 1_000} s:\n${faults.join("\n")}`);
      await sleep(CALM_LOOK_MS);
    }
  }

  /** Writes all that these pods' runtimes have said, all lives of their containers that the kubelet keeps. */
  async saveLogs(pods?: readonly Pod[]): Promise<void> {
    const { logDir } = this.options;
    if (logDir === undefined) return;
    await mkdir(logDir, { recursive: true });
    for (const { name } of pods ?? (await this.#pods())) {
      const of = (...more: string[]) => this.release.kubectl("logs", name, "-c", "runtime", "--timestamps", ...more).catch(() => "");
      await writeFile(join(logDir, `${name}.log`), `${await of("--previous")}---\n${await of()}`);
    }
  }

  /** The last lines of each pod's runtime, for a run that went wrong. */
  async lastWords(count: number): Promise<string> {
    const pods = await this.#pods().catch(() => []);
    const words = pods.map(async ({ name, node, restarts }) => {
      const log = await this.release.kubectl("logs", name, "-c", "runtime", `--tail=${count}`).catch((error: unknown) => String(error));
      return `${name} on ${node}, ${restarts} restarts:\n${log}`;
    });
    return (await Promise.all(words)).join("\n");
  }

  /** A drained node stays empty by itself: a pod of the fullest is made anew, which the scheduler puts where there are fewest. */
  async reshuffle(): Promise<void> {
    const [leader, pods] = await Promise.all([this.leader(), this.workers()]);
    const byNode = Map.groupBy(pods, ({ node }) => node);
    const [fullest = []] = [...byNode.values()].toSorted((a, b) => b.length - a.length);
    const pod = fullest.find(({ name }) => name !== leader?.name);
    if (pod === undefined) return;
    this.options.say(`  ${pod.name} is made anew, for another layout`);
    await this.deletePod(pod);
  }

  takeBreaches(runs: readonly Run[]): string[] {
    return this.watch.takeBreaches(runs);
  }

  async stop(): Promise<void> {
    await this.watch.stop();
    await this.release.close();
    await Promise.all([this.#lag.stop(), this.store.stop()]);
    await this.fleet.down();
  }

  async #replace(pod: Pod): Promise<void> {
    this.#replaced.add(pod.uid);
    this.options.say(`  ${pod.name} is replaced: its containers have ended ${pod.restarts} times`);
    await this.saveLogs([pod]);
    await this.deletePod(pod);
  }

  async #records(): Promise<Omit<Books, "leader">> {
    const [workers, segments, statuses] = await Promise.all([
      this.db.collection<WorkerRecord & { _id: string }>("runtime.workers").find().toArray(),
      this.db.collection<SegmentRecord & { _id: number }>("runtime.segments").find().toArray(),
      this.db.collection<StatusRecord & { _id: string }>("runtime.status").find().toArray(),
    ]);
    return { workers, segments, statuses };
  }

  async #silent({ workers }: Books): Promise<string[]> {
    const { status, body } = await this.#get(LEASES);
    if (status !== 200) return [`Cannot list Leases: ${status}`];
    const sessions = new Map(workers.filter(({ state }) => state === "up").map(({ _id, pod }) => [_id as string, pod]));
    const maxAgeMs = SILENT_RENEWALS * this.bounds.timings.renewMs;
    return findSilentLeases(body as RawLeases, { election: ELECTION, sessions, nowMs: Date.now(), maxAgeMs });
  }

  #placements(): Promise<Placement[]> {
    return this.db.collection<Placement>("runtime.placements").find().toArray();
  }

  async #pods(): Promise<Pod[]> {
    const { status, body } = await this.#get(`/api/v1/namespaces/${NAMESPACE}/pods?labelSelector=app.kubernetes.io/instance%3Druntime`);
    if (status !== 200) throw new Error(`Cannot list pods: ${status}`);
    return readPods(body as RawPods);
  }
}

/** The number of pods is given, so that nothing is scaled while something is measured. */
function valuesOf({ profile, pods }: ClusterStageOptions): Readonly<Record<string, unknown>> {
  const requests = { cpu: "50m", memory: "128Mi", "ephemeral-storage": "16Mi" };
  return {
    ...chartValues(),
    runtime: { timings: profile },
    bots: { backlogPatienceSeconds: 2 },
    scaling: { minReplicas: pods, maxReplicas: pods },
    dind: { resources: { requests } },
  };
}
