import type { MonoMs } from "./clock.ts";
import type { SessionId } from "./ids.ts";
import { type FoundLease, type LeaseWrite, revokeLease } from "./lease.ts";
import type { Leases } from "./observation.ts";
import type { FleetRecord } from "./records.ts";

/** What a leader knows of the database's life. After `runtime.*` was dropped, workers of the old life may still run
 *  bots: those that reach MongoDB find their session gone, those that do not live on by their Lease until that is marked. */
export type Settling = {
  readonly incarnation: string;
  /** On the observer's clock: the last moment at which a session of another life may have been alive; `undefined`: there
   *  was none, as an earlier leader has waited. */
  readonly unsettledAt: MonoMs | undefined;
};

export function observeLife(
  before: Settling | undefined,
  fleet: Pick<FleetRecord, "incarnation" | "settled">,
  leases: Leases,
  now: MonoMs,
): Settling {
  const { incarnation, settled = false } = fleet;
  if (foreignLeases(incarnation, leases).length > 0) return { incarnation, unsettledAt: now };
  if (before?.incarnation === incarnation) return before;
  return { incarnation, unsettledAt: settled ? undefined : now };
}

/** The marks that bar sessions of another life from living on by their Leases. */
export function planBarring({ incarnation }: Settling, leases: Leases): LeaseWrite[] {
  return foreignLeases(incarnation, leases).map(([sid, found]) => revokeLease(sid, found));
}

/** Whether segments may be given away: nobody of another life can still be running bots. `endMs` is L. */
export function isSettled(settling: Settling | undefined, leases: Leases, now: MonoMs, endMs: number): boolean {
  if (settling === undefined || leases === "unread") return false;
  return settling.unsettledAt === undefined || now - settling.unsettledAt >= endMs;
}

function foreignLeases(incarnation: string, leases: Leases): [SessionId, FoundLease][] {
  if (typeof leases === "string") return [];
  return [...leases].filter(([, { lease }]) => !lease.revoked && lease.incarnation !== incarnation);
}
