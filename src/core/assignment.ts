import { assertNever } from "./errors.ts";
import type { Epoch, SegmentId, SessionId } from "./ids.ts";
import { announceMove, assignSegment, freeSegment, type Operation, revokeSegment, withdrawMove } from "./operations.ts";
import type { SegmentRecord, WorkerRecord } from "./records.ts";
import { planSpread } from "./spread.ts";
import { type Owned, survey } from "./survey.ts";
import { type Taker, Takers } from "./takers.ts";
import type { Waiting } from "./waiting.ts";

export type Observed = {
  readonly active: readonly SegmentId[];
  readonly segments: readonly SegmentRecord[];
  readonly workers: readonly WorkerRecord[];
  /** The leader's own session, which takes segments last. Absent: all workers are alike. */
  readonly leader?: SessionId;
  /** As many sessions live as there may be: nobody else will come, so nobody is waited for. */
  readonly atCap?: boolean;
  /** Rank of each worker's ReplicaSet: higher is newer. Absent: all of one. */
  readonly generations?: ReadonlyMap<SessionId, number>;
  /** Bots in each segment. Absent: no worker is ever full. */
  readonly bots?: ReadonlyMap<SegmentId, number>;
  readonly waiting?: Waiting;
  /** Workers that are silent, though not yet for long enough to be ended. */
  readonly suspects?: ReadonlySet<SessionId>;
  /** How long this leader has seen each announced move stand, in ms. */
  readonly announced?: ReadonlyMap<SegmentId, number>;
  /** How long this leader has seen each segment on its way out of living hands, in ms. Nothing is decided by it: a time-out
   *  never takes a segment from a live session. */
  readonly leaving?: ReadonlyMap<SegmentId, number>;
};

export type AssignmentPolicy = {
  /** How long a segment waits for a worker of its own before it shares one: BACKLOG_PATIENCE. */
  readonly patienceMs: number;
  /** The same for a segment whose bots ran before, because its worker died or drains. With no idle worker the bounds for a
   *  lost pod (12.5 s) and a drain (stop + 2 s + start) hold only if this is 0: it is spread again when a worker comes.
   *  While more than half of all segments are lost, `patienceMs` holds for them as well. */
  readonly lostPatienceMs: number;
  /** How long the target of a planned move may take to get its images before the owner is told to let go all the same.
   *  @default 0: moves are not announced */
  readonly pullPatienceMs?: number;
};

/** A spread waits so many times as long for its target as a drain does. */
const SPREAD_PATIENCE = 4;

/** For COORDINATION=single and MAX_REPLICAS=1: there is nobody to wait for. */
export const ALONE: AssignmentPolicy = { patienceMs: 0, lostPatienceMs: 0 };

type RevokeReason =
  /** None of its bots should run. */
  | "inactive"
  /** Its owner is leaving, and `target` takes it over. */
  | "draining"
  /** Its owner has at least two more than `target`. */
  | "spread";

export type AssignmentStep =
  | { readonly kind: "create"; readonly segment: SegmentId }
  | { readonly kind: "free"; readonly segment: SegmentId; readonly owner: SessionId; readonly epoch: Epoch }
  | { readonly kind: "assign"; readonly segment: SegmentId; readonly epoch: Epoch; readonly to: SessionId }
  /** A move is about to come: the target may get its images, while the bots run on where they are. */
  | {
      readonly kind: "announce";
      readonly segment: SegmentId;
      readonly owner: SessionId;
      readonly epoch: Epoch;
      readonly why: Exclude<RevokeReason, "inactive">;
      readonly target: SessionId;
    }
  /** An announced move will not come: nobody is told of it for ever. */
  | {
      readonly kind: "withdraw";
      readonly segment: SegmentId;
      readonly owner: SessionId;
      readonly epoch: Epoch;
      readonly target: SessionId;
    }
  | {
      readonly kind: "revoke";
      readonly segment: SegmentId;
      readonly owner: SessionId;
      readonly epoch: Epoch;
      readonly why: RevokeReason;
      /** Who gets it after the release, if it still lives and may take it then. */
      readonly target: SessionId | null;
    };

/** Decides who owns what. Sticky: a segment leaves a living owner only when none of its bots should run, when the owner
 *  drains, or when moving it makes the load more even. Each segment takes one step at a time, so a whole move is several
 *  plans (revoke, release by the owner, assign); `[]` means converged, or that what is left has to wait.
 *  Scarce workers go first to what stands still and ran before, then to what a draining worker holds, then to new segments. */
export function planAssignment(observed: Observed, policy: AssignmentPolicy = ALONE): AssignmentStep[] {
  const { total, steps, aimed, lost, fresh, leaving, moving, announced, kept, forsaken, up } = survey(observed);
  const { pullPatienceMs = 0 } = policy;
  const botsOf = (segment: SegmentId): number => observed.bots?.get(segment) ?? 0;
  const waitedMs = (segment: SegmentId): number => {
    const standing = observed.waiting?.get(segment);
    return standing?.owner === null ? standing.waitedMs : 0;
  };

  const self = observed.leader === undefined ? undefined : up.get(observed.leader);
  const takers = new Takers([...up.values()], self, total);
  const choose = (waited: number, patienceMs: number): Taker | undefined => {
    if (observed.atCap !== true && waited < patienceMs) return takers.idle();
    return takers.sharing() ?? (waited >= policy.patienceMs ? takers.last() : undefined);
  };
  /** The images are there already; but an idle worker that came meanwhile is better than a second place on a busy one. */
  const aim = ({ target: sid }: SegmentRecord): Taker | undefined => {
    const target = sid === null ? undefined : up.get(sid);
    if (target === undefined || target === self) return undefined;
    return takers.mayShare(target) && (target.load === 0 || takers.idle() === undefined) ? target : undefined;
  };

  const plan: AssignmentStep[] = [...steps];
  /** First the announcement, then, once the target is ready or has had its time, the revocation. */
  const move = (record: Owned, target: SessionId, why: Exclude<RevokeReason, "inactive">): void => {
    const { _id: segment, owner, epoch } = record;
    const isAnnounced = record.target === target;
    // A draining owner cannot wait; what moves for an even load can.
    const patienceMs = why === "draining" ? pullPatienceMs : SPREAD_PATIENCE * pullPatienceMs;
    const isOverdue = (observed.announced?.get(segment) ?? 0) >= patienceMs;
    const isDue = pullPatienceMs <= 0 || (isAnnounced && (record.ready === epoch || isOverdue));
    if (isDue) plan.push({ kind: "revoke", segment, owner, epoch, why, target });
    else if (!isAnnounced) plan.push({ kind: "announce", segment, owner, epoch, why, target });
  };
  const assign = ({ _id: segment, epoch }: SegmentRecord, to: Taker | undefined): void => {
    if (to === undefined) return; // nobody to give it to: it waits, and counts as backlog
    takers.give(to, botsOf(segment));
    plan.push({ kind: "assign", segment, epoch, to: to.sid });
  };
  const missed: SegmentRecord[] = [];
  for (const record of aimed) {
    const target = aim(record);
    if (target === undefined) missed.push(record);
    else assign(record, target);
  }
  // With most of a fleet gone its workers are on their way: the first to come must not get what belongs to all of them.
  const restarts = 2 * (missed.length + lost.length + leaving.length) > total;
  const lostPatienceMs = restarts ? Math.max(policy.patienceMs, policy.lostPatienceMs) : policy.lostPatienceMs;
  for (const record of [...missed, ...lost]) assign(record, choose(waitedMs(record._id), lostPatienceMs));
  const inMove = new Set([...moving, ...announced].flatMap(({ owner, target }) => (target === null ? [owner] : [owner, target])));
  for (const record of leaving) {
    const to = aim(record) ?? choose(0, lostPatienceMs);
    if (to === undefined) break; // the bots run on until the owner itself stops and releases them
    takers.give(to, botsOf(record._id));
    inMove.add(to.sid);
    move(record, to.sid, "draining");
  }
  for (const record of announced) if (record.target !== null) move(record, record.target, "spread");
  for (const record of fresh) assign(record, choose(waitedMs(record._id), policy.patienceMs));
  const spread = planSpread({ kept, up, spared: self, inMove, botsOf });
  for (const { record, target } of spread) move(record, target, "spread");
  const moved = new Set(spread.map(({ record }) => record._id));
  for (const { _id: segment, owner, epoch, target } of forsaken)
    if (target !== null && !moved.has(segment)) plan.push({ kind: "withdraw", segment, owner, epoch, target });
  return plan;
}

/** The write behind a step; `create` is an insert and has none. */
export function operationOf(step: Exclude<AssignmentStep, { kind: "create" }>, term: number): Operation {
  switch (step.kind) {
    case "free":
      return freeSegment(step.segment, step.epoch);
    case "assign":
      return assignSegment(step.segment, step.epoch, step.to, term);
    case "announce":
      return announceMove(step.segment, step.epoch, step.target, term);
    case "withdraw":
      return withdrawMove(step.segment, step.epoch, step.target, term);
    case "revoke":
      return revokeSegment(step.segment, step.epoch, step.target, term);
    default:
      return assertNever(step);
  }
}
