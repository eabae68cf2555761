import { EventEmitter } from "node:events";
import type { ParsedConfig } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import { timingsOf } from "../core/timings.ts";
import { createEngine } from "../docker/engine.ts";
import type { EngineEvents } from "../docker/engine-events.ts";
import type { Listening } from "../http/app.ts";
import type { LeaderEvents } from "../leader/events.ts";
import { type Connection, connectStore, type MongoOptions } from "../mongo/connect.ts";
import { systemClock } from "../process/clock.ts";
import { FenceFile } from "../process/fence-file.ts";
import { FenceGuard } from "../process/fence-guard.ts";
import { retryPassing } from "../process/retry.ts";
import type { Actor } from "../process/run-group.ts";
import type { Signals } from "../process/signals.ts";
import { aborted } from "../process/until-aborted.ts";
import { readVersion } from "../process/version.ts";
import type { Log } from "../telemetry/log.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { Outages, type Store, tellEngine, tellLeader, tellWorker } from "../telemetry/subscribe.ts";
import type { WorkerEvents } from "../worker/events.ts";
import type { Engine } from "../worker/ports.ts";
import type { Worker } from "../worker/worker.ts";
import { type ClusterSide, openClusterSide } from "./cluster-side.ts";
import { listenHttp } from "./http-side.ts";
import { createLeadership, type Leadership } from "./leadership.ts";
import { live } from "./live.ts";
import { fleetOf, join, type Membership } from "./membership.ts";
import { createWorkerSide, type Fence, type WorkerSide, type WorkerSideOptions } from "./worker-side.ts";

/** What a drain may take beyond the longest stop grace, in seconds. Source: design.md section 8, grace period. */
const DRAIN_SPARE_SECONDS = 30;
/** An Engine that starts behind its fence may miss so many tries, some 6 s, before that is worth a word. */
const QUIET_TRIES = 5;

/** One process from its adapters up. The order of `run` is the order in which things may be relied on. */
export class Runtime {
  readonly #config: ParsedConfig["config"];
  readonly #log: Log;
  readonly #signals: Signals;
  readonly #clock: Clock = systemClock;
  readonly #random = Math.random;
  readonly #version = readVersion();
  readonly #metrics: Metrics;
  readonly #outages: Outages;
  readonly #workerBus = new EventEmitter<WorkerEvents>();
  readonly #leaderBus = new EventEmitter<LeaderEvents>();
  readonly #engineBus = new EventEmitter<EngineEvents>();
  readonly #fence: Fence | undefined;
  #worker: Worker | undefined;
  #leadership: Leadership | undefined;
  #hasFoundEngine = false;
  #http: Listening | undefined;
  readonly #closers: (() => Promise<void> | void)[] = [];

  constructor({ config }: ParsedConfig, log: Log, signals: Signals) {
    this.#config = config;
    this.#log = log;
    this.#signals = signals;
    const stores = ["mongodb", "docker", ...(config.coordination === "kubernetes" ? ["kubernetes"] : [])];
    this.#metrics = new Metrics({ version: this.#version, node: process.version }, stores);
    this.#metrics.botsMax.set(config.maxBotsPerWorker);
    const dir = config.coordination === "single" ? undefined : config.fenceDir;
    this.#fence = dir === undefined ? undefined : { dir, guard: new FenceGuard(new FenceFile(dir), this.#clock) };
    this.#outages = new Outages(log, this.#metrics);
    tellWorker(this.#workerBus, log, this.#metrics, this.#outages);
    tellLeader(this.#leaderBus, log, this.#metrics, this.#outages);
    tellEngine(this.#engineBus, log, this.#metrics);
  }

  async run(lockLost: AbortSignal): Promise<number> {
    const config = this.#config;
    const { podName: pod, namespace, coordination } = config;
    this.#log.info("Starting runtime", { version: this.#version, coordination, pod, namespace });
    if (coordination === "kubernetes") this.#log.info("autoscaler: on, the leader scales", { deployment: config.deploymentName });
    else this.#log.info("autoscaler: off, nothing scales these processes", { coordination });
    this.#http = await listenHttp({
      config,
      metrics: this.#metrics,
      parts: () => ({ worker: this.#worker, leadership: this.#leadership }),
      hasFoundEngine: () => this.#hasFoundEngine,
      isDraining: () => this.#signals.stop.aborted,
    });
    this.#log.info("Listening", { port: this.#http.port });
    const engine = this.#createEngine();
    const mongo = await this.#connect();
    // Behind a fence the Engine comes up only once there is a session.
    if (this.#fence === undefined) await this.#findEngine(engine, this.#signals.stop);
    const side = config.coordination === "kubernetes" ? await this.#openClusterSide() : undefined;
    const fleet = await this.#patiently("docker", this.#signals.stop, () => fleetOf(config, engine, side));
    const membership = await this.#join(mongo, fleet);
    const workerSide = await this.#createWorkerSide({ mongo, engine, membership, side });
    const { worker, lifeline } = workerSide;
    this.#worker = worker;
    const leadership = createLeadership({
      ...this.#adapters,
      config,
      mongo,
      membership,
      side,
      onClusterReached: () => this.#outages.over("kubernetes"),
      bus: this.#leaderBus,
      leaving: worker.draining,
      isIdle: () => worker.isIdle,
      renewedAt: () => workerSide.renewedAt(),
    });
    this.#leadership = leadership;
    const actors: Actor[] = [(signal) => worker.run(signal), ...leadership.actors];
    const headless = workerSide.watchHeadless(leadership, () => this.#signals.requestStop());
    if (headless !== undefined) actors.push(headless);
    if (!this.#hasFoundEngine) actors.push((signal) => this.#findEngine(engine, signal).then(() => aborted(signal)));
    const drainSeconds = config.maxStopGraceSeconds + DRAIN_SPARE_SECONDS;
    return live({
      worker,
      left: () => leadership.left(),
      actors,
      engine,
      sid: lifeline.sid,
      signals: this.#signals,
      lockLost,
      log: this.#log,
      drainSeconds,
      stopLimitMs: this.#fence === undefined ? drainSeconds * 1_000 : timingsOf(config).fenceMs,
    });
  }

  async close(): Promise<void> {
    await this.#http?.close();
    for (const release of this.#closers.toReversed()) await release();
  }

  get #adapters(): { readonly clock: Clock; readonly random: () => number } {
    return { clock: this.#clock, random: this.#random };
  }

  #createEngine(): ReturnType<typeof createEngine> {
    const { dockerHost, stateDir, registryAuthFile } = this.#config;
    const engine = createEngine({ ...this.#adapters, dockerHost, stateDir, registryAuthFile, bus: this.#engineBus });
    this.#closers.push(() => engine.close());
    return engine;
  }

  async #connect(): Promise<Connection> {
    const onMode = (mode: "stream" | "poll", why: unknown): void =>
      this.#log.info(mode === "stream" ? "Watching changes by change streams" : "Watching changes by polling: slower", { why });
    const mongo = await this.#patiently("mongodb", this.#signals.stop, () =>
      connectStore({ ...this.#adapters, ...this.#mongoOptions, onMode }),
    );
    this.#closers.push(() => mongo.close());
    this.#outages.over("mongodb");
    return mongo;
  }

  get #mongoOptions(): MongoOptions {
    const { mongoUri: uri, dbName, collectionName, mongoTlsCaFile: caFile, mongoTlsCertFile: certFile } = this.#config;
    return { uri, dbName, collectionName, tls: { caFile, certFile } };
  }

  async #findEngine(engine: Engine, signal: AbortSignal): Promise<void> {
    const { id, version, apiVersion: api } = await this.#patiently("docker", signal, () => engine.identify());
    this.#outages.over("docker");
    this.#log.info("Found Docker Engine", { engine: id, version, api });
    this.#hasFoundEngine = true;
  }

  async #openClusterSide(): Promise<ClusterSide> {
    const side = await openClusterSide({
      ...this.#adapters,
      config: this.#config,
      onFault: (error) => this.#outages.seen(error),
      patiently: (act) => this.#patiently("kubernetes", this.#signals.stop, act),
    });
    this.#closers.push(() => side.connection.close());
    this.#log.info("Found Deployment", { deployment: this.#config.deploymentName, uid: side.deploymentUid });
    return side;
  }

  #join(mongo: Connection, fleet: string): Promise<Membership> {
    const { stop } = this.#signals;
    return join({
      config: this.#config,
      mongo,
      fleet,
      clock: this.#clock,
      bus: this.#workerBus,
      guard: this.#fence?.guard,
      onFreshDocker: () => this.#log.info("Waiting for a fresh Docker Engine: the fence ends what an earlier session may have left"),
      patiently: (act) => this.#patiently("mongodb", stop, act),
      onClaimed: (claim) => this.#log.info("Claimed database", { database: this.#config.dbName, claim }),
      signal: stop,
    });
  }

  async #createWorkerSide(parts: Pick<WorkerSideOptions, "mongo" | "engine" | "membership" | "side">): Promise<WorkerSide> {
    const side = await createWorkerSide({
      ...this.#adapters,
      ...parts,
      config: this.#config,
      mongoOptions: this.#mongoOptions,
      fence: this.#fence,
      bus: this.#workerBus,
      metrics: this.#metrics,
    });
    this.#closers.push(() => side.close());
    return side;
  }

  /** Start-up waits for what is away as long as nobody ends it; the log says so once. Behind a fence the Engine always comes up
   *  after us: that is told once it takes long. */
  async #patiently<T>(store: Store, signal: AbortSignal, act: () => Promise<T>): Promise<T> {
    const quietTries = store === "docker" && this.#fence !== undefined ? QUIET_TRIES : 0;
    const onRetry = (reason: unknown, attempt: number): void => {
      if (attempt === quietTries) this.#log.warn("Waiting until it answers", { store, reason });
    };
    return retryPassing(act, { ...this.#adapters, signal, onRetry });
  }
}
