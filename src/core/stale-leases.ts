import { after, type MonoMs } from "./clock.ts";
import type { SessionId } from "./ids.ts";
import type { LeaseVersion } from "./lease.ts";
import type { Leases } from "./observation.ts";
import type { WorkerRecord } from "./records.ts";
import { isLiving } from "./session.ts";

/** How each worker's Lease stands, and since when, on the observer's clock. */
export type LeaseSights = ReadonlyMap<SessionId, { readonly version: LeaseVersion; readonly since: MonoMs }>;

/** A Lease stays so long after its last write, in ms, whoever wrote it. Source: ownership.md "Leader", 10 min */
export const TOMBSTONE_MS = 600_000;

/** Takes one look. A copy that cannot be trusted shows nothing, and takes nothing back. */
export function sightLeases(before: LeaseSights, leases: Leases, now: MonoMs): LeaseSights {
  if (typeof leases === "string") return before;
  return new Map(
    [...leases].map(([sid, { version }]) => {
      const known = before.get(sid);
      return [sid, known?.version === version ? known : { version, since: now }];
    }),
  );
}

/** Sessions whose Leases nobody needs any more: over for good in the books, or unknown to them, and not written for 10 min.
 *  A worker that still lives by one finds it gone, which bars it as the mark did. */
export function staleLeases(sights: LeaseSights, workers: readonly WorkerRecord[], now: MonoMs): SessionId[] {
  const living = new Set(workers.flatMap(({ _id, state }) => (isLiving(state) ? [_id] : [])));
  return [...sights].flatMap(([sid, { since }]) => (!living.has(sid) && now >= after(since, TOMBSTONE_MS) ? [sid] : []));
}
