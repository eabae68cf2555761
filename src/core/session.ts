import { after, type MonoMs } from "./clock.ts";
import type { SessionId } from "./ids.ts";
import type { Outcome } from "./operations.ts";
import type { SessionState } from "./records.ts";
import type { Timings } from "./timings.ts";

/** One of the two stores that keep a session alive, as its worker sees it. */
type Channel = {
  /** When the last acknowledged renewal was sent: others can have begun to wait only after that. */
  readonly provenAt?: MonoMs | undefined;
  /** This channel proves nothing: somebody marked it, and a renewal through it would be no sign of life. */
  readonly isBarred?: true;
};

/** A worker's own view of its session. Immutable.
 *
 *  open -(no renewal for S)-> soft: starts nothing. -(R)-> stopping: stops its bots. -(W)-> the fence has killed them.
 *  Any acknowledged renewal leads back to open. `lost` is final: the process stops what it runs and exits.
 *  INVARIANT: every deadline counts from the *sending* of an acknowledged renewal, so an observer that saw the counter
 *  move counts from a later moment, whatever the delays. */
export type Session = {
  readonly sid: SessionId;
  readonly inc: number;
  readonly store: Channel;
  readonly lease: Channel;
  /** `ended`: stop every bot, then exit. `replaced`: a newer process goes on with the session; exit and stop nothing. */
  readonly lost?: "ended" | "replaced";
};

/** O0 was won; it was sent at `sentAt` and counts as a renewal. */
export function openSession(sid: SessionId, inc: number, sentAt: MonoMs): Session {
  return { sid, inc, store: { provenAt: sentAt }, lease: {} };
}

/** O1 came back. `unknown` is a call without an answer: it may have landed, and nothing may be concluded from it. */
export function afterRenewal(session: Session, sentAt: MonoMs, outcome: Outcome | "unknown"): Session {
  if (outcome === "unknown" || session.lost !== undefined) return session;
  if (outcome === "missed") return { ...session, lost: "ended" };
  // The mark was seen before this answer, and yet the session lives: whoever set it has failed to end it. Also where the
  // renewal was sent before the mark was seen: it moved the counter that the mark's writer would have to find unmoved.
  const lease = session.lease.isBarred === true ? {} : session.lease;
  return { ...session, store: { provenAt: latest(session.store.provenAt, sentAt) }, lease };
}

/** What a renewal of the worker's own Lease gave. `barred`: it carries the mark, or is gone. */
export type LeaseOutcome = "renewed" | "barred" | "replaced" | "unknown";

/** O1' came back. */
export function afterLeaseRenewal(session: Session, sentAt: MonoMs, outcome: LeaseOutcome): Session {
  if (outcome === "unknown" || session.lost !== undefined) return session;
  if (outcome === "replaced") return { ...session, lost: "replaced" };
  if (outcome === "barred") return { ...session, lease: { isBarred: true } };
  // An answer that comes after the mark was seen is of a renewal that the mark has overtaken.
  if (session.lease.isBarred === true) return session;
  return { ...session, lease: { provenAt: latest(session.lease.provenAt, sentAt) } };
}

/** Our renewal has moved the counter from `before` to `now`. A counter that does not rise is of a restored record: whatever
 *  has happened since the backup, this session may have been ended in it. */
export function afterCounter(session: Session, before: number | undefined, now: number): Session {
  return before === undefined || now > before || session.lost !== undefined ? session : { ...session, lost: "ended" };
}

/** The database's life was read: in another one, or in none, this session does not exist. */
export function afterLife(session: Session, incarnation: string, found: string | undefined): Session {
  return found === incarnation || session.lost !== undefined ? session : { ...session, lost: "ended" };
}

/** When the last sign of life that others must respect was sent. */
function provenAt({ store, lease, lost }: Session): MonoMs | undefined {
  return lost === undefined ? latest(store.provenAt, lease.provenAt) : undefined;
}

/** Until when the fence lets bots run; what the worker writes into the fence's file. `undefined`: not at all. */
export function fenceDeadline(session: Session, { fenceMs }: Timings): MonoMs | undefined {
  const proven = provenAt(session);
  return proven === undefined ? undefined : after(proven, fenceMs);
}

/** How far a worker's right to its bots reaches at `now`. */
export type Right = "start" | "keep" | "stop";

/** `start`: a call that takes `callMs` may begin. `keep`: bots go on and crashed ones wait. `stop`: stop them before the fence does. */
export function rightOf(session: Session, now: MonoMs, { softMs, stopMs, callMs }: Timings): Right {
  const proven = provenAt(session);
  if (proven === undefined) return "stop";
  const age = now - proven;
  return age + callMs < softMs ? "start" : age < stopMs ? "keep" : "stop";
}

/** Whether the own Lease is due: seldom while MongoDB answers, as often as it once it does not. Source: ownership.md O1'.
 *  The first write needs a session that MongoDB has just confirmed: where there is no Lease yet there is no mark either,
 *  and one that begins later could keep a session alive that nobody knows any more. */
export function isLeaseDue({ store, lease }: Session, now: MonoMs, { renewMs, callMs }: Timings): boolean {
  if (lease.isBarred === true) return false;
  const confirmed = store.provenAt !== undefined && now - store.provenAt < renewMs + callMs;
  if (lease.provenAt === undefined) return confirmed;
  return now - lease.provenAt >= (confirmed ? LEASE_EVERY * renewMs : renewMs);
}

/** In a quiet fleet the Lease is renewed once for so many renewals in MongoDB. */
const LEASE_EVERY = 5;

function latest(a: MonoMs | undefined, b: MonoMs | undefined): MonoMs | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a > b ? a : b;
}

/** One look at another session's counter, stamped on the observer's own clock. */
export type Counters = { readonly inc: number; readonly hbSeq: number };

/** Whether a session that we did not start is alive: its counter moved between two looks. `dead` and `gone` are final. */
export function isMoving(before: Counters, later: Counters): boolean {
  return later.inc !== before.inc || later.hbSeq !== before.hbSeq;
}

export function isLiving(state: SessionState): boolean {
  return state === "up" || state === "draining";
}
