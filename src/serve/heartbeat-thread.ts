// The thread that keeps a worker's lease alive. What it needs comes as workerData; it ends with the process, or when the
// main thread ends it.
import { parentPort, workerData } from "node:worker_threads";
import type { Session } from "../core/session.ts";
import type { Timings } from "../core/timings.ts";
import { openOwnLease, type OwnLeasePlace } from "../kubernetes/connect.ts";
import type { MongoOptions } from "../mongo/connect.ts";
import { MongoRenewals } from "../mongo/renewals.ts";
import { Bell } from "../process/bell.ts";
import { systemClock } from "../process/clock.ts";
import { FenceFile } from "../process/fence-file.ts";
import { FenceGuard } from "../process/fence-guard.ts";
import { keepAlive, Pulse, type ToHeartbeat } from "../worker/heartbeat.ts";
import { LeaseRenewer } from "../worker/lease-renewer.ts";

export type HeartbeatData = {
  readonly session: Session;
  readonly timings: Timings;
  readonly pulse: SharedArrayBuffer;
  readonly mongo: MongoOptions;
  readonly fenceDir: string;
  /** Where the session's own Lease lies, and which life of the database it belongs to; absent where there is one store only. */
  readonly lease?: OwnLeasePlace & { readonly incarnation: string };
};

/** Connections of this thread. Source: ownership.md "Worker". */
const POOL_SIZE = 2;

const { session, timings, pulse, mongo, fenceDir, lease } = workerData as HeartbeatData;
const fence = new FenceFile(fenceDir);
const guard = new FenceGuard(fence, systemClock);
let isDraining = false;
const restartAsked = new Bell();
parentPort?.on("message", ({ kind }: ToHeartbeat) => {
  if (kind === "drain") isDraining = true;
  else restartAsked.ring();
});
const own =
  lease && new LeaseRenewer({ lease: openOwnLease(lease, () => systemClock.wall()), clock: systemClock, incarnation: lease.incarnation });
void keepAlive(
  session,
  {
    ...(own !== undefined && { lease: own }),
    store: new MongoRenewals({ ...mongo, timeoutMs: timings.callMs, poolSize: POOL_SIZE }),
    clock: systemClock,
    timings,
    pulse: new Pulse(pulse),
    isDraining: () => isDraining,
    tellFence: (word) => fence.write({ ...word, bootId: fence.bootId }),
    restartAsked,
    killAll: (signal) => guard.killAll(signal),
    tell: (message) => parentPort?.postMessage(message),
  },
  new AbortController().signal,
);
// A lost session is for the main thread to act on; until it does, its port keeps this thread here, renewing nothing.
