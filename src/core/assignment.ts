import { assertNever } from "./errors.ts";
import type { Epoch, SegmentId, SessionId } from "./ids.ts";
import { assignSegment, freeSegment, type Operation, revokeSegment } from "./operations.ts";
import type { SegmentRecord, WorkerRecord } from "./records.ts";
import { isLiving } from "./session.ts";

export type Observed = {
  readonly active: readonly SegmentId[];
  readonly segments: readonly SegmentRecord[];
  readonly workers: readonly WorkerRecord[];
};

export type AssignmentStep =
  | { readonly kind: "create"; readonly segment: SegmentId }
  | { readonly kind: "free"; readonly segment: SegmentId; readonly owner: SessionId; readonly epoch: Epoch }
  | { readonly kind: "assign"; readonly segment: SegmentId; readonly epoch: Epoch; readonly to: SessionId }
  | { readonly kind: "revoke"; readonly segment: SegmentId; readonly owner: SessionId; readonly epoch: Epoch; readonly why: "inactive" };

/** Decides who owns what. Sticky: a segment leaves a living owner only when none of its bots should run.
 *  Each segment takes one step at a time, so a whole move is several plans; `[]` means converged. */
export function planAssignment({ active, segments, workers }: Observed): AssignmentStep[] {
  const living = new Set(workers.filter((w) => isLiving(w.state)).map((w) => w._id));
  const takers = workers.filter((w) => w.state === "up").map((w) => w._id);
  const load = new Map(takers.map((sid) => [sid, 0]));
  for (const { owner } of segments) if (owner !== null && load.has(owner)) load.set(owner, (load.get(owner) ?? 0) + 1);
  const known = new Map(segments.map((s) => [s._id, s]));
  const wanted = new Set(active);

  const steps: AssignmentStep[] = [];
  for (const segment of wanted) if (!known.has(segment)) steps.push({ kind: "create", segment });
  for (const { _id: segment, state, owner, epoch } of segments) {
    if (owner !== null && !living.has(owner)) {
      steps.push({ kind: "free", segment, owner, epoch });
    } else if (state === "assigned" && owner !== null && !wanted.has(segment)) {
      steps.push({ kind: "revoke", segment, owner, epoch, why: "inactive" });
    } else if (state === "free" && wanted.has(segment)) {
      const to = leastLoaded(takers, load);
      if (to === undefined) continue; // nobody to give it to: it waits, and counts as backlog
      load.set(to, (load.get(to) ?? 0) + 1);
      steps.push({ kind: "assign", segment, epoch, to });
    }
  }
  return steps;
}

function leastLoaded(takers: readonly SessionId[], load: ReadonlyMap<SessionId, number>): SessionId | undefined {
  return takers.reduce<SessionId | undefined>(
    (best, sid) => (best === undefined || (load.get(sid) ?? 0) < (load.get(best) ?? 0) ? sid : best),
    undefined,
  );
}

/** The write behind a step; `create` is an insert and has none. */
export function operationOf(step: Exclude<AssignmentStep, { kind: "create" }>, term: number): Operation {
  switch (step.kind) {
    case "free":
      return freeSegment(step.segment, step.owner, step.epoch, term);
    case "assign":
      return assignSegment(step.segment, step.epoch, step.to, term);
    case "revoke":
      return revokeSegment(step.segment, step.owner, step.epoch, null, term);
    default:
      return assertNever(step);
  }
}
