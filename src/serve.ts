import { randomUUID } from "node:crypto";
import { EventEmitter, setMaxListeners } from "node:events";
import type { ParsedConfig } from "./config.ts";
import { ConfigurationError, SessionLostError } from "./core/errors.ts";
import type { Clock } from "./core/clock.ts";
import { createEngine } from "./docker/engine.ts";
import type { EngineEvents } from "./docker/engine-events.ts";
import { pickReading } from "./document/pick-reading.ts";
import { createBotReader } from "./document/read-bot.ts";
import { createApp, listen, type Listening } from "./http/app.ts";
import { Admission } from "./leader/admission.ts";
import type { LeaderEvents } from "./leader/events.ts";
import { Leader } from "./leader/leader.ts";
import { connectStore } from "./mongo/connect.ts";
import { systemClock } from "./process/clock.ts";
import { LastSession } from "./process/last-session.ts";
import { retryPassing } from "./process/retry.ts";
import { runGroup } from "./process/run-group.ts";
import { listenForSignals, type Signals } from "./process/signals.ts";
import { lockStateDir, openStateDir, ReleasedFile } from "./process/state-dir.ts";
import { readVersion } from "./process/version.ts";
import { createLog, type Log } from "./telemetry/log.ts";
import { Metrics } from "./telemetry/metrics.ts";
import { Outages, tellEngine, tellLeader, tellWorker } from "./telemetry/subscribe.ts";
import type { WorkerEvents } from "./worker/events.ts";
import { claimFleet, confirmClaim } from "./worker/fleet.ts";
import { Session } from "./worker/session.ts";
import { stopAll } from "./worker/stop-all.ts";
import { Worker } from "./worker/worker.ts";

/** Without a round of the main loop for so long the process is called dead, in ms. */
const MAX_TICK_AGE_MS = 60_000;
/** What a drain may take beyond the longest stop grace, in seconds. Source: design.md section 8, grace period. */
const DRAIN_SPARE_SECONDS = 30;

/** Runs one complete runtime until it is told to stop. Returns the exit code. @throws {ConfigurationError} */
export async function serve(parsed: ParsedConfig): Promise<number> {
  const { config } = parsed;
  const log = createLog({ level: config.logLevel, format: config.logFormat, stream: process.stdout });
  const signals = listenForSignals();
  const cleanup: (() => Promise<void> | void)[] = [() => log.close(), () => signals.close()];
  try {
    for (const warning of parsed.warnings) log.warn("Found a setting without effect", { warning });
    await openStateDir(config.stateDir);
    const lock = await lockStateDir(config.stateDir);
    cleanup.push(() => lock.release());
    const runtime = new Runtime(parsed, log, signals);
    cleanup.push(() => runtime.close());
    return await runtime.run(lock.lost);
  } catch (error) {
    if (error !== signals.stop.reason) throw error;
    log.info("Ended before it had begun");
    return 0;
  } finally {
    for (const release of cleanup.toReversed()) await release();
  }
}

/** One process from its adapters up. The order of `run` is the order in which things may be relied on. */
class Runtime {
  readonly #config: ParsedConfig["config"];
  readonly #log: Log;
  readonly #signals: Signals;
  readonly #clock: Clock = systemClock;
  readonly #random = Math.random;
  readonly #version = readVersion();
  readonly #metrics: Metrics;
  readonly #workerBus = new EventEmitter<WorkerEvents>();
  readonly #leaderBus = new EventEmitter<LeaderEvents>();
  readonly #engineBus = new EventEmitter<EngineEvents>();
  #worker: Worker | undefined;
  #leader: Leader | undefined;
  /** Ready once this process has its session, has read its segments and reached the engine; then until it drains. */
  #ready = false;
  #http: Listening | undefined;
  readonly #closers: (() => Promise<void> | void)[] = [];

  constructor({ config }: ParsedConfig, log: Log, signals: Signals) {
    this.#config = config;
    this.#log = log;
    this.#signals = signals;
    this.#metrics = new Metrics({ version: this.#version, node: process.version });
    const outages = new Outages(log, this.#metrics);
    tellWorker(this.#workerBus, log, this.#metrics, outages);
    tellLeader(this.#leaderBus, log, this.#metrics, outages);
    tellEngine(this.#engineBus, log, this.#metrics);
  }

  async run(lockLost: AbortSignal): Promise<number> {
    const config = this.#config;
    const { stop, kill } = this.#signals;
    this.#log.info("Starting runtime", {
      version: this.#version,
      coordination: config.coordination,
      pod: config.podName,
      namespace: config.namespace,
    });
    this.#log.info("autoscaler: off, one process has nothing to scale", { coordination: config.coordination });
    this.#http = await this.#listen();
    this.#log.info("Listening", { port: this.#http.port });

    const engine = createEngine({
      dockerHost: config.dockerHost,
      stateDir: config.stateDir,
      registryAuthFile: config.registryAuthFile,
      clock: this.#clock,
      random: this.#random,
      bus: this.#engineBus,
    });
    this.#closers.push(() => engine.close());
    const mongo = await this.#patiently("mongodb", stop, () =>
      connectStore({
        uri: config.mongoUri,
        dbName: config.dbName,
        collectionName: config.collectionName,
        tls: { caFile: config.mongoTlsCaFile, certFile: config.mongoTlsCertFile },
        clock: this.#clock,
        random: this.#random,
        onMode: (mode, why) =>
          this.#log.info(mode === "stream" ? "Watching changes by change streams" : "Watching changes by polling: slower", { why }),
      }),
    );
    this.#closers.push(() => mongo.close());
    this.#metrics.storeUp.set({ store: "mongodb" }, 1);
    const identity = await this.#patiently("docker", stop, () => engine.identify());
    this.#metrics.storeUp.set({ store: "docker" }, 1);
    this.#log.info("Found Docker Engine", { engine: identity.id, version: identity.version, api: identity.apiVersion });

    const fleet = { owner: identity.id, coordination: config.coordination, incarnation: randomUUID() };
    const claim = await this.#patiently("mongodb", stop, () => claimFleet(mongo.store, fleet));
    this.#log.info("Claimed database", { database: config.dbName, claim });
    // Not before the claim: a database of another fleet or of a newer version is not written to.
    await this.#patiently("mongodb", stop, () => mongo.ensureIndexes());
    const renewMs = config.renewSeconds * 1_000;
    const last = await LastSession.open(config.stateDir);
    const session = await this.#patiently("mongodb", stop, () =>
      Session.open(
        {
          store: mongo.store,
          clock: this.#clock,
          bus: this.#workerBus,
          base: identity.id,
          fleet: fleet.owner,
          pod: config.podName,
          node: config.nodeName ?? "",
          capacity: config.maxBotsPerWorker,
          renewMs,
          last,
        },
        stop,
      ),
    );

    const incarnation = await this.#patiently("mongodb", stop, () => confirmClaim(mongo.store, fleet)).catch(async (error: unknown) => {
      // What is announced and has run nothing yet is taken back; a session with bots of an earlier process is left as it is.
      if (error instanceof ConfigurationError && session.inc === 1) await session.stepDown("gone");
      throw error;
    });

    const readBot = createBotReader({ maxStopGraceSeconds: config.maxStopGraceSeconds });
    const checkIntervalMs = config.scaleCheckIntervalSeconds * 1_000;
    const admission = new Admission({
      store: mongo.store,
      read: readBot,
      maxSegment: config.maxSegment,
      clock: this.#clock,
      bus: this.#leaderBus,
    });
    const leader = new Leader({
      store: mongo.store,
      feed: mongo.feed,
      admission,
      clock: this.#clock,
      bus: this.#leaderBus,
      checkIntervalMs,
      worker: config.podName,
    });
    const worker = new Worker({
      store: mongo.store,
      feed: mongo.feed,
      engine,
      session,
      released: await ReleasedFile.open(config.stateDir, incarnation),
      read: (found) => pickReading(found, readBot),
      clock: this.#clock,
      random: this.#random,
      bus: this.#workerBus,
      pod: config.podName,
      renewMs,
      startConcurrency: config.startConcurrency,
    });
    this.#worker = worker;
    this.#leader = leader;

    const end = new AbortController();
    setMaxListeners(100, end.signal);
    const running = runGroup([(s) => worker.run(s), (s) => leader.run(s)], AbortSignal.any([end.signal, kill, lockLost]));
    const drained = new Promise<boolean>((resolve) => {
      stop.addEventListener(
        "abort",
        () =>
          void this.#drain(worker, kill)
            .then(resolve, () => resolve(false))
            .finally(() => end.abort()),
        { once: true },
      );
    });
    try {
      await Promise.race([running, aborted(kill)]);
    } catch (error) {
      const lost = faultsOf(error).find((fault) => fault instanceof SessionLostError);
      if (lost === undefined) throw error;
      this.#log.error("Lost the session", { how: lost.how, error: lost });
      if (lost.how === "ended") this.#log.info("Stopped the bots of a lost session", { bots: await stopAll(engine, session.sid) });
      return 1;
    }
    if (lockLost.aborted) throw lockLost.reason;
    if (kill.aborted) {
      this.#log.warn("Ending at once: bots that still run are taken over by the next start");
      return 1;
    }
    return (await drained) ? 0 : 1;
  }

  async #drain(worker: Worker, kill: AbortSignal): Promise<boolean> {
    const seconds = this.#config.maxStopGraceSeconds + DRAIN_SPARE_SECONDS;
    this.#log.info("Draining: stopping bots, then leaving", { seconds });
    const done = await worker.drain(AbortSignal.any([kill, AbortSignal.timeout(seconds * 1_000)]));
    if (done) this.#log.info("Drained: every bot is stopped and every segment released");
    else this.#log.warn("Could not drain in time: what is left is taken over by the next start");
    return done;
  }

  /** Start-up waits for what is away as long as nobody ends it; the log says so once. */
  async #patiently<T>(store: string, signal: AbortSignal, act: () => Promise<T>): Promise<T> {
    let told = false;
    const onRetry = (reason: unknown): void => {
      if (!told) this.#log.warn("Waiting until it answers", { store, reason });
      told = true;
    };
    return retryPassing(act, { clock: this.#clock, random: this.#random, signal, onRetry });
  }

  #listen(): Promise<Listening> {
    const app = createApp({
      health: () => {
        const age = this.#worker?.tickAgeMs ?? 0;
        return { ok: age < MAX_TICK_AGE_MS, reason: `the main loop has not come round for ${Math.round(age / 1_000)} s` };
      },
      ready: () => {
        if (this.#signals.stop.aborted) return { ok: false, reason: "draining" };
        this.#ready ||= this.#worker?.isReady === true;
        return { ok: this.#ready, reason: "starting" };
      },
      metrics: async () => ({ contentType: this.#metrics.registry.contentType, body: await this.#metrics.registry.metrics() }),
      figures: () => this.#leader?.latest(),
      segmentsEndpoint: this.#config.enableMetricsEndpoint,
      maxFiguresAgeMs: 3 * this.#config.scaleCheckIntervalSeconds * 1_000,
    });
    return listen(app, this.#config.httpPort).catch((cause: unknown) => {
      throw new ConfigurationError(
        `HTTP_PORT: cannot listen on ${this.#config.httpPort}: free the port, or set HTTP_PORT to another (0 takes any)`,
        { cause },
      );
    });
  }

  async close(): Promise<void> {
    await this.#http?.close();
    for (const release of this.#closers.toReversed()) await release();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** Every fault inside nested groups. */
function faultsOf(error: unknown): unknown[] {
  return error instanceof AggregateError ? error.errors.flatMap(faultsOf) : [error];
}
