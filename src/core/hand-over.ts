import type { Observed } from "./assignment.ts";
import type { SessionId } from "./ids.ts";

/** Workers that are up and own nothing, nor are about to. */
export function idleWorkers({ segments, workers }: Observed): SessionId[] {
  const busy = new Set(segments.flatMap(({ owner, target }) => [owner, target]));
  return workers.flatMap(({ _id, state }) => (state === "up" && !busy.has(_id) ? [_id] : []));
}

/** Whether an active segment is between two owners: its bots stand still until a leader says who is the next. */
export function hasMoveInHand({ active, segments }: Observed): boolean {
  const wanted = new Set(active);
  return segments.some(({ _id, state }) => state === "revoking" && wanted.has(_id));
}

/** Leadership moves, bots do not: a leader that owns active segments gives way as soon as an idle worker can lead as well, but not
 *  with a move in hand, for an election takes seconds.
 *  `seasoned`: who has lived for long enough to have watched the others for L. */
export function shouldHandOver(observed: Observed, seasoned: ReadonlySet<SessionId>): boolean {
  const { leader, active, segments } = observed;
  if (leader === undefined) return false;
  const wanted = new Set(active);
  if (!segments.some(({ _id, owner }) => owner === leader && wanted.has(_id))) return false;
  if (hasMoveInHand(observed)) return false;
  return idleWorkers(observed).some((sid) => seasoned.has(sid));
}
