import type { AssignmentStep, Observed } from "./assignment.ts";
import type { SegmentId, SessionId } from "./ids.ts";
import type { SegmentRecord } from "./records.ts";
import { isLiving } from "./session.ts";
import type { Taker } from "./takers.ts";
import type { Standing } from "./waiting.ts";

/** A record with an owner, so that nobody has to ask again. */
export type Owned = SegmentRecord & { readonly owner: SessionId };

/** All segments, sorted by what can be done for them. */
export type Survey = {
  /** Active segments. */
  readonly total: number;
  /** What needs no choice: create, free, revoke what is inactive. */
  readonly steps: readonly AssignmentStep[];
  /** Active and free, with a target that is up. */
  readonly aimed: readonly SegmentRecord[];
  /** Active and free; its bots ran before. */
  readonly lost: readonly SegmentRecord[];
  /** Active, free and new. */
  readonly fresh: readonly SegmentRecord[];
  /** Active, and owned by a worker that drains. */
  readonly leaving: readonly Owned[];
  /** Active, and about to be released by its owner. */
  readonly moving: readonly Owned[];
  /** Active, owned by a worker that is up, and announced to another one that is up, too. */
  readonly announced: readonly Owned[];
  /** Active, and owned by a worker that is up. */
  readonly kept: readonly Owned[];
  /** Those of `kept` that are announced to somebody who will never take them: who is silent may still. */
  readonly forsaken: readonly Owned[];
  /** Workers that are up and not silent, with the segments that stay with them or are on their way. */
  readonly up: ReadonlyMap<SessionId, Taker>;
};

/** One pass over what is: a worker's load counts active segments only, so that all loads together never exceed their number. */
export function survey({ active, segments, workers, generations, bots, waiting, suspects }: Observed): Survey {
  const states = new Map(workers.map((w) => [w._id, w.state]));
  const up = new Map<SessionId, Taker>();
  for (const { _id: sid, state, capacity } of workers)
    if (state === "up" && suspects?.has(sid) !== true)
      up.set(sid, { sid, generation: generations?.get(sid) ?? 0, capacity, load: 0, bots: 0 });
  const book = (segment: SegmentId, sid: SessionId | null): void => {
    const taker = sid === null ? undefined : up.get(sid);
    if (taker === undefined) return;
    taker.load += 1;
    taker.bots += bots?.get(segment) ?? 0;
  };

  const wanted = new Set(active);
  let known = 0;
  const steps: AssignmentStep[] = [];
  const free = { aimed: [] as SegmentRecord[], lost: [] as SegmentRecord[], fresh: [] as SegmentRecord[] };
  const owned = { leaving: [] as Owned[], moving: [] as Owned[], announced: [] as Owned[], kept: [] as Owned[], forsaken: [] as Owned[] };
  for (const record of segments) {
    const { _id: segment, owner, epoch, target } = record;
    const isActive = wanted.has(segment);
    if (isActive) known += 1;
    const ownerState = owner === null ? undefined : states.get(owner);
    if (owner === null) {
      if (!isActive) continue;
      if (target !== null && up.has(target)) free.aimed.push(record);
      else (ranBefore(record, waiting?.get(segment)) ? free.lost : free.fresh).push(record);
    } else if (ownerState === undefined || !isLiving(ownerState)) {
      steps.push({ kind: "free", segment, owner, epoch });
    } else if (!isActive) {
      if (record.state === "assigned") steps.push({ kind: "revoke", segment, owner, epoch, why: "inactive", target: null });
    } else if (record.state === "revoking") {
      owned.moving.push(record as Owned);
      book(segment, target);
    } else if (ownerState === "draining") {
      owned.leaving.push(record as Owned);
    } else if (target !== null && target !== owner && up.has(target)) {
      owned.announced.push(record as Owned);
      book(segment, target);
    } else {
      owned.kept.push(record as Owned);
      if (target !== null && (target === owner || states.get(target) !== "up")) owned.forsaken.push(record as Owned);
      book(segment, owner);
    }
  }
  if (known < wanted.size)
    for (const segment of wanted.difference(new Set(segments.map((s) => s._id)))) steps.push({ kind: "create", segment });
  return { total: wanted.size, steps, ...free, ...owned, up };
}

/** A target was written by a planned move, perhaps by an earlier leader: its bots ran then. */
function ranBefore({ target }: SegmentRecord, standing: Standing | undefined): boolean {
  return target !== null || (standing?.owner === null && standing.lastOwner !== null);
}
