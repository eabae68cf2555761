import { after, type MonoMs } from "./clock.ts";
import type { SessionId } from "./ids.ts";

/** The lease of leadership. Who holds it plans; who plans wrongly is stopped by terms and epochs, not by this. */
export type Leadership = {
  /** Nobody: it was given up in order. */
  readonly holder: SessionId | null;
  /** What the holder promises: others take over once the record has stood still for so long, in ms. */
  readonly leaseMs: number;
  /** How often it has changed hands. */
  readonly changes: number;
};
/** `version` changes with every write. */
export type FoundLeadership = {
  readonly record: Leadership;
  readonly version: string;
  /** Whether the holder has said with this write that it reaches MongoDB. Absent where the lease itself lies there. */
  readonly reachesStore?: boolean;
};

/** The election's timings, in ms. */
export type ElectionTimings = {
  readonly leaseMs: number;
  /** A leader that could not renew for so long stops, before others may begin. */
  readonly renewDeadlineMs: number;
  readonly retryMs: number;
  /** How long the work of a leader that stops may take to end. Source: ownership.md "Leader", 1 s. */
  readonly endMs: number;
};

/** 8, 5, 1 and 1 s where a session is renewed each second, and as much slower as that is. Source: ownership.md "Timing". */
export function electionTimings(renewMs: number): ElectionTimings {
  return { leaseMs: 8 * renewMs, renewDeadlineMs: 5 * renewMs, retryMs: renewMs, endMs: renewMs };
}

/** What a candidate has seen of the lease: how it stood, and since when, on the candidate's own clock. */
export type Sight = { readonly found: FoundLeadership | undefined; readonly since: MonoMs };

export function observeLeadership(before: Sight | undefined, found: FoundLeadership | undefined, now: MonoMs): Sight {
  return before !== undefined && before.found?.version === found?.version ? before : { found, since: now };
}

/** How well a candidate is fit to lead, as far as it knows. */
export type Fitness = {
  /** It leaves, has no session that counts, or cannot read the books: it does not stand. */
  readonly isBarred: boolean;
  /** It owns segments, and an idle worker lives. */
  readonly isBusy: boolean;
  /** It has not watched the others for L, and another one lives that may have, for it has renewed for so long. Who leads without that
   *  must watch for so long before it can end a session. */
  readonly isFresh: boolean;
};

/** When a candidate may take the lease, on its own clock; `undefined`: not while it is as it is. Who is less fit steps back
 *  for a moment in which a better one will have taken it. A lease in our own name is of a process that is no more.
 *  `ableSince`: since when the candidate has not been barred. After an outage all are able again at about the same time, and what was
 *  free all the while has to be left to the better one all the same. */
export function standingAt(
  { found, since }: Sight,
  self: SessionId,
  fitness: Fitness,
  { retryMs }: ElectionTimings,
  ableSince: MonoMs = since,
): MonoMs | undefined {
  if (fitness.isBarred) return undefined;
  const backMs = STEP_BACK * retryMs * (Number(fitness.isBusy) + 2 * Number(fitness.isFresh));
  const isFree = found === undefined || found.record.holder === null || found.record.holder === self;
  const freeAt = after(since, isFree ? 0 : found.record.leaseMs);
  return after(freeAt > ableSince ? freeAt : ableSince, backMs);
}

/** In retries: enough for the better candidate's look, with its jitter, and its write. */
const STEP_BACK = 1.5;

export function takeLeadership(self: SessionId, found: FoundLeadership | undefined, { leaseMs }: ElectionTimings): Leadership {
  const past = found?.record;
  return { holder: self, leaseMs, changes: (past?.changes ?? 0) + (past?.holder === self ? 0 : 1) };
}
