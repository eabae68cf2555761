import type { SessionId } from "../core/ids.ts";
import type { Engine } from "./ports.ts";

/** Stops every bot of a session that was taken from us, each with its grace, all at once. Nothing is recorded: the
 *  store would refuse it. @throws {AggregateError} when some could not be proven stopped. */
export async function stopAll(engine: Engine, sid: SessionId): Promise<number> {
  const mine = (await engine.list()).filter((c) => c.sid === sid && c.state === "running");
  const ends = await Promise.allSettled(mine.map((c) => engine.stop(c.id, c.graceSeconds)));
  const faults = ends.flatMap((end) => (end.status === "rejected" ? [end.reason as unknown] : []));
  if (faults.length > 0) throw new AggregateError(faults, `Cannot stop ${faults.length} of ${mine.length} bots of a lost session`);
  return mine.length;
}
