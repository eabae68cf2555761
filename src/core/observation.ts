import { after, type MonoMs } from "./clock.ts";
import type { SessionId } from "./ids.ts";
import { type FoundLease, type LeaseVersion, type LeaseWrite, revokeLease } from "./lease.ts";
import { endSession, type Operation } from "./operations.ts";
import type { WorkerRecord } from "./records.ts";
import { isLiving, isMoving } from "./session.ts";
import { leastEndMs, type Timings } from "./timings.ts";

/** The Leases of all workers as last read; `none`: there is only one store; `unread`: the read failed or was not tried. */
export type Leases = ReadonlyMap<SessionId, FoundLease> | "none" | "unread";

/** What an observer knows of one living session. */
type Watch = {
  readonly record: WorkerRecord;
  readonly lease: FoundLease | "absent" | "none" | "unread";
  /** On the observer's clock: both counters have stood still since then, as far as it knows. */
  readonly since: MonoMs;
  /** The same of its record alone: since then it lives by its Lease, if it lives. */
  readonly recordSince: MonoMs;
};
export type Watches = ReadonlyMap<SessionId, Watch>;

/** Takes one look into the books. `now` is when the *answer* came: the counter had this value at some moment before
 *  that, so nobody's renewal is counted as older than it is. Standbys observe too: who takes over need not wait again. */
export function observeSessions(before: Watches, workers: readonly WorkerRecord[], leases: Leases, now: MonoMs): Watches {
  const watches = new Map<SessionId, Watch>();
  for (const record of workers) {
    if (!isLiving(record.state)) continue;
    const known = before.get(record._id);
    const lease =
      typeof leases === "string" ? (leases === "unread" ? (known?.lease ?? "unread") : leases) : (leases.get(record._id) ?? "absent");
    const isStill = known !== undefined && !isMoving(known.record, record);
    const since = isStill && isSameLease(known.lease, lease) ? known.since : now;
    watches.set(record._id, { record, lease, since, recordSince: isStill ? known.recordSince : now });
  }
  return watches;
}

/** This observer's own mark was written: its Lease has a new version, which is no sign of life. */
export function afterRevoking(watches: Watches, sid: SessionId, version: LeaseVersion): Watches {
  const watch = watches.get(sid);
  if (watch === undefined) return watches;
  const lease = {
    lease: { inc: 0, incarnation: "", ...(typeof watch.lease === "string" ? {} : watch.lease.lease), sid, revoked: true },
    version,
  };
  return new Map(watches).set(sid, { ...watch, lease });
}

/** Ends one session: the Lease first, then the record. Only when both writes were won may its segments be freed. */
export type Ending = { readonly sid: SessionId; readonly lease: LeaseWrite | undefined; readonly record: Operation };

const NOBODY: ReadonlySet<SessionId> = new Set();

/** Sessions that have been silent in both stores for long enough, or of whom it is proven that nothing of them runs. INVARIANT: each write names the counter that was
 *  observed, so a session that has shown a sign of life since then is not ended, however late the write lands. */
export function planEndings(watches: Watches, now: MonoMs, timings: Timings, provenDead: ReadonlySet<SessionId> = NOBODY): Ending[] {
  const endings: Ending[] = [];
  for (const { record, lease, since } of watches.values()) {
    if (lease === "unread") continue;
    if (now - since < silenceMs(record, timings) && !provenDead.has(record._id)) continue;
    const write = lease === "none" ? undefined : revokeLease(record._id, lease === "absent" ? undefined : lease);
    endings.push({ sid: record._id, lease: write, record: endSession(record._id, record.hbSeq) });
  }
  return endings;
}

/** Sessions that have missed so many renewals in MongoDB that they may be gone, or live by their Lease alone and do not hear what
 *  they own: they keep what they have until they are ended, and are given nothing, for whatever they are given may stand still until then. */
export function suspects(watches: Watches, now: MonoMs, { softMs }: Pick<Timings, "softMs">): ReadonlySet<SessionId> {
  return new Set([...watches.values()].flatMap(({ record, recordSince }) => (now - recordSince >= softMs ? [record._id] : [])));
}

/** Sessions that live by their Lease alone: MongoDB has not heard of them for S, and their Lease moves. With since when that is. */
export function headlessSince(watches: Watches, now: MonoMs, { softMs }: Pick<Timings, "softMs">): ReadonlyMap<SessionId, MonoMs> {
  const isHeadless = ({ since, recordSince }: Watch): boolean => now - recordSince >= softMs && now - since < softMs;
  return new Map([...watches.values()].filter(isHeadless).map(({ record, recordSince }) => [record._id, recordSince]));
}

/** When the next of these silences becomes long enough, if no sign of life comes; those that are are left out. */
export function nextEndingAt(watches: Watches, timings: Timings, now: MonoMs): MonoMs | undefined {
  let next: MonoMs | undefined;
  for (const { record, since } of watches.values()) {
    const at = after(since, silenceMs(record, timings));
    if (at > now && (next === undefined || at < next)) next = at;
  }
  return next;
}

/** L, or more where the session's own fence is slower than ours: so new timings can be rolled out pod by pod. */
function silenceMs({ fenceMs }: WorkerRecord, timings: Timings): number {
  return fenceMs === undefined ? timings.endMs : Math.max(timings.endMs, leastEndMs({ fenceMs, killMs: timings.killMs }));
}

function isSameLease(a: Watch["lease"], b: Watch["lease"]): boolean {
  return typeof a === "string" || typeof b === "string" ? a === b : a.version === b.version;
}
