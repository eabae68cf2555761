import type { Config } from "../config.ts";
import type { Clock, MonoMs } from "../core/clock.ts";
import { timingsOf } from "../core/timings.ts";
import { pickReading } from "../document/pick-reading.ts";
import { createBotReader } from "../document/read-bot.ts";
import type { Connection, MongoOptions } from "../mongo/connect.ts";
import type { FenceGuard } from "../process/fence-guard.ts";
import type { Actor } from "../process/run-group.ts";
import { ReleasedFile } from "../process/state-dir.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { WorkerBus } from "../worker/events.ts";
import { HeadlessWatch } from "../worker/headless-watch.ts";
import { LeasedLifeline } from "../worker/leased-lifeline.ts";
import type { Lifeline } from "../worker/lifeline.ts";
import type { Engine } from "../worker/ports.ts";
import { drainPatience } from "../worker/segments.ts";
import { SoloLifeline } from "../worker/solo-lifeline.ts";
import { Worker } from "../worker/worker.ts";
import { beginHeartbeat } from "./begin-heartbeat.ts";
import type { ClusterSide } from "./cluster-side.ts";
import type { Leadership } from "./leadership.ts";
import type { Membership } from "./membership.ts";

/** The fence around this process's Engine, and the directory that both share. */
export type Fence = { readonly guard: FenceGuard; readonly dir: string };

export type WorkerSideOptions = {
  readonly config: Config;
  readonly mongo: Connection;
  /** For the heartbeat's own connection. */
  readonly mongoOptions: MongoOptions;
  readonly engine: Engine;
  readonly membership: Membership;
  /** Absent outside Kubernetes. */
  readonly side: ClusterSide | undefined;
  /** Absent where this process is alone. */
  readonly fence: Fence | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  readonly bus: WorkerBus;
  readonly metrics: Metrics;
};

/** This process's part in running bots: its right to, and who does. */
export type WorkerSide = {
  readonly lifeline: Lifeline;
  readonly worker: Worker;
  /** When the last renewal of the session was sent that MongoDB has acknowledged. */
  renewedAt(): MonoMs | undefined;
  /** Calls `giveUp` once this worker has been without the stores for too long; undefined where that cannot be. */
  watchHeadless(leadership: Leadership, giveUp: () => void): Actor | undefined;
  close(): Promise<void>;
};

export async function createWorkerSide(options: WorkerSideOptions): Promise<WorkerSide> {
  const lifeline = createLifeline(options);
  const leased = lifeline instanceof LeasedLifeline ? lifeline : undefined;
  return {
    lifeline,
    worker: await createWorker(lifeline, options),
    renewedAt: () => leased?.view.store.provenAt,
    watchHeadless: (leadership, giveUp) =>
      options.side === undefined || leased === undefined ? undefined : watchHeadless(leased, leadership, giveUp, options),
    close: async () => leased?.end(),
  };
}

function createLifeline({ config, membership, side, fence, mongo, mongoOptions, clock, bus, metrics }: WorkerSideOptions): Lifeline {
  const { session, incarnation } = membership;
  const timings = timingsOf(config);
  const common = { clock, timings, bus };
  if (fence === undefined) return new SoloLifeline(session, { ...common, store: mongo.store });
  const lease = side && { ...side.ownLease, incarnation };
  const begin = (opened: typeof session.view) =>
    beginHeartbeat({ session: opened, timings, mongo: mongoOptions, fenceDir: fence.dir, ...(lease !== undefined && { lease }) });
  const lifeline = new LeasedLifeline(session, { ...common, incarnation, begin });
  metrics.watchFence({ remainingMs: () => lifeline.remainingMs(), trips: () => fence.guard.trips() });
  return lifeline;
}

/** With a Lease as the second store this worker may have to give up by itself: then it ends as by SIGTERM. */
function watchHeadless(
  lifeline: LeasedLifeline,
  leadership: Leadership,
  giveUp: () => void,
  { config, clock, bus, metrics }: WorkerSideOptions,
): Actor {
  const watch = new HeadlessWatch({
    session: () => lifeline.view,
    leader: () => leadership.sight(),
    clock,
    timings: timingsOf(config),
    bus,
    giveUp,
  });
  metrics.watchHeadless(() => watch.headlessMs());
  return (signal) => watch.run(signal);
}

async function createWorker(lifeline: Lifeline, options: WorkerSideOptions): Promise<Worker> {
  const { config, mongo, engine, membership, fence, clock, random, bus } = options;
  const readBot = createBotReader({ maxStopGraceSeconds: config.maxStopGraceSeconds });
  return new Worker({
    clock,
    random,
    store: mongo.store,
    feed: mongo.feed,
    engine,
    lifeline,
    released: await ReleasedFile.open(config.stateDir, membership.incarnation),
    read: (found) => pickReading(found, readBot),
    bus,
    pod: config.podName,
    startConcurrency: config.startConcurrency,
    ...(fence !== undefined && {
      isFenceSteady: () => fence.guard.isSteady(),
      watchesLife: true,
      movePatience: drainPatience(timingsOf(config).renewMs),
    }),
  });
}
