// The thread that keeps a worker's lease alive. What it needs comes as workerData; it ends with the process, or when the
// main thread ends it.
import { parentPort, workerData } from "node:worker_threads";
import type { Session } from "../core/session.ts";
import type { Timings } from "../core/timings.ts";
import type { MongoOptions } from "../mongo/connect.ts";
import { MongoRenewals } from "../mongo/renewals.ts";
import { systemClock } from "../process/clock.ts";
import { FenceFile } from "../process/fence-file.ts";
import { keepAlive, Pulse, type ToHeartbeat } from "../worker/heartbeat.ts";

export type HeartbeatData = {
  readonly session: Session;
  readonly timings: Timings;
  readonly pulse: SharedArrayBuffer;
  readonly mongo: MongoOptions;
  readonly fenceDir: string;
};

/** Connections of this thread. Source: ownership.md "Worker". */
const POOL_SIZE = 2;

const { session, timings, pulse, mongo, fenceDir } = workerData as HeartbeatData;
const fence = new FenceFile(fenceDir);
let isDraining = false;
parentPort?.on("message", ({ kind }: ToHeartbeat) => {
  isDraining ||= kind === "drain";
});
await keepAlive(
  session,
  {
    store: new MongoRenewals({ ...mongo, timeoutMs: timings.callMs, poolSize: POOL_SIZE }),
    clock: systemClock,
    timings,
    pulse: new Pulse(pulse),
    isDraining: () => isDraining,
    tellFence: (word) => fence.write({ ...word, bootId: fence.bootId }),
    tell: (message) => parentPort?.postMessage(message),
  },
  new AbortController().signal,
);
// A lost session is for the main thread to act on; until it does, its port keeps this thread here, renewing nothing.
