import type { Observed } from "./assignment.ts";
import type { MonoMs } from "./clock.ts";
import type { Epoch, SegmentId, SessionId } from "./ids.ts";
import type { SegmentRecord } from "./records.ts";
import { isLiving } from "./session.ts";

/** How one active segment stands in the eyes of one leader. */
export type Standing =
  | { readonly owner: SessionId }
  | {
      readonly owner: null;
      /** On the leader's own clock: when it first saw the segment without a living owner. */
      readonly since: MonoMs;
      readonly waitedMs: number;
      /** The last owner that this leader saw. With one, bots ran and are missed; is it dead, the segment is an orphan. */
      readonly lastOwner: SessionId | null;
    };

/** What a leader remembers of the active segments between two looks. A new leader begins with an empty one. */
export type Waiting = ReadonlyMap<SegmentId, Standing>;

/** Follows which active segments wait for an owner, and how long. Time is the observer's own; no record carries one. */
export function trackWaiting(before: Waiting, { active, segments, workers }: Observed, now: MonoMs): Waiting {
  const living = new Set(workers.filter((w) => isLiving(w.state)).map((w) => w._id));
  const known = new Map(segments.map((s) => [s._id, s]));
  const standings = new Map<SegmentId, Standing>();
  for (const segment of active) {
    const record = known.get(segment);
    const owner = record?.owner ?? null;
    if (owner !== null && living.has(owner)) {
      standings.set(segment, { owner });
      continue;
    }
    const past = before.get(segment);
    const since = past?.owner === null ? past.since : now;
    const lastOwner = owner ?? past?.owner ?? (past?.owner === null ? past.lastOwner : null);
    standings.set(segment, { owner: null, since, waitedMs: now - since, lastOwner });
  }
  return standings;
}

/** Announced moves in the eyes of one leader, and since when it has seen each. */
export type Announced = ReadonlyMap<SegmentId, { readonly epoch: Epoch; readonly target: SessionId; readonly since: MonoMs }>;

/** Follows how long each announced move has stood. */
export function trackAnnounced(before: Announced, segments: readonly SegmentRecord[], now: MonoMs): Announced {
  return new Map(
    segments.flatMap(({ _id, state, epoch, target }) => {
      if (state !== "assigned" || target === null) return [];
      const past = before.get(_id);
      return [[_id, past?.epoch === epoch && past.target === target ? past : { epoch, target, since: now }] as const];
    }),
  );
}

/** Segments on their way out of living hands in the eyes of one leader, and since when. */
export type Leaving = ReadonlyMap<SegmentId, { readonly epoch: Epoch; readonly since: MonoMs }>;

/** Follows how long each hand-over has stood: from the revocation, or from the moment its owner drains, until the release.
 *  What a dead owner left is no hand-over: nobody has to let go of it. */
export function trackLeaving(before: Leaving, { segments, workers }: Pick<Observed, "segments" | "workers">, now: MonoMs): Leaving {
  const states = new Map(workers.map((w) => [w._id, w.state]));
  return new Map(
    segments.flatMap(({ _id, state, epoch, owner }) => {
      const ownerState = owner === null ? undefined : states.get(owner);
      if (ownerState === undefined || !isLiving(ownerState)) return [];
      if (state !== "revoking" && ownerState !== "draining") return [];
      const past = before.get(_id);
      return [[_id, past?.epoch === epoch ? past : { epoch, since: now }] as const];
    }),
  );
}

/** How long a leader may look away before a segment's patience ends; undefined when none is running. */
export function patienceLeftMs(waiting: Waiting, patiencesMs: readonly number[]): number | undefined {
  let left: number | undefined;
  for (const standing of waiting.values()) {
    if (standing.owner !== null) continue;
    for (const patienceMs of patiencesMs) {
      const rest = patienceMs - standing.waitedMs;
      if (rest > 0 && (left === undefined || rest < left)) left = rest;
    }
  }
  return left;
}
