import { setMaxListeners } from "node:events";
import { SessionLostError } from "../core/errors.ts";
import type { SessionId } from "../core/ids.ts";
import { type Actor, runGroup } from "../process/run-group.ts";
import type { Signals } from "../process/signals.ts";
import { untilAborted } from "../process/until-aborted.ts";
import type { Log } from "../telemetry/log.ts";
import type { Engine } from "../worker/ports.ts";
import { stopAll } from "../worker/stop-all.ts";
import type { Worker } from "../worker/worker.ts";

export type LiveOptions = {
  readonly worker: Worker;
  /** Ends once this process does not lead: a drained one waits for that. */
  readonly left: () => Promise<void>;
  /** All that runs for as long as this process does. */
  readonly actors: readonly Actor[];
  readonly engine: Engine;
  readonly sid: SessionId;
  readonly signals: Signals;
  readonly lockLost: AbortSignal;
  readonly log: Log;
  /** How long a drain may take. */
  readonly drainSeconds: number;
  /** How long the bots of a lost session may take to stop, in ms: behind a fence they are dead by then anyway. */
  readonly stopLimitMs: number;
};

/** Runs until a signal, a lost session or a fault ends it. Returns the exit code. @throws {AggregateError} what went wrong */
export async function live(options: LiveOptions): Promise<number> {
  const { worker, left, actors, signals, lockLost, log, drainSeconds } = options;
  const { stop, kill } = signals;
  const end = new AbortController();
  setMaxListeners(100, end.signal);
  const running = runGroup(actors, AbortSignal.any([end.signal, kill, lockLost]));
  const drain = async (): Promise<boolean> => {
    log.info("Draining: stopping bots, then leaving", { seconds: drainSeconds });
    const limit = AbortSignal.any([kill, AbortSignal.timeout(drainSeconds * 1_000)]);
    const done = await worker.drain(limit);
    await untilAborted(left(), limit);
    if (done) log.info("Drained: every bot is stopped and every segment released");
    else log.warn("Could not drain in time: what is left is taken over by others, or by the next start");
    return done;
  };
  const drained = new Promise<boolean>((resolve) => {
    const begin = (): void =>
      void drain()
        .then(resolve, () => resolve(false))
        .finally(() => end.abort());
    if (stop.aborted) begin();
    else stop.addEventListener("abort", begin, { once: true });
  });
  try {
    await untilAborted(running, kill);
  } catch (error) {
    const lost = faultsOf(error).find((fault) => fault instanceof SessionLostError);
    if (lost === undefined) throw error;
    await leave(lost, options);
    return 1;
  }
  if (lockLost.aborted) throw lockLost.reason;
  if (kill.aborted) {
    log.warn("Ending at once: bots that still run are taken over by the next start");
    return 1;
  }
  return (await drained) ? 0 : 1;
}

/** What is left of a session that others have ended is stopped; one that a newer process goes on with is left alone. */
async function leave(lost: SessionLostError, { engine, sid, log, stopLimitMs }: LiveOptions): Promise<void> {
  log.error("Lost the session", { how: lost.how, error: lost });
  if (lost.how === "replaced") return;
  const limit = AbortSignal.timeout(stopLimitMs);
  const stopping = stopAll(engine, sid).then(
    (bots) => log.info("Stopped the bots of a lost session", { bots }),
    (error: unknown) => log.error("Could not stop all bots of a lost session", { error }),
  );
  await untilAborted(stopping, limit);
}

/** Every fault inside nested groups. */
function faultsOf(error: unknown): unknown[] {
  return error instanceof AggregateError ? error.errors.flatMap(faultsOf) : [error];
}
