import { type Figures, pickFigures } from "../core/figures.ts";
import type { SegmentId, SessionId } from "../core/ids.ts";
import type { FleetRecord, MissingPods, SegmentRecord, SessionState, WorkerRecord } from "../core/records.ts";
import { isLiving, isMoving } from "../core/session.ts";
import type { FleetLook, FleetSigns } from "./ports.ts";

/** `true` and `false`: what moved between two looks; `null`: nobody looked twice, or nothing can move any more. */
type Sign = boolean | null;

export type WorkerView = {
  readonly pod: string;
  readonly session: SessionId;
  readonly state: SessionState;
  readonly leads: boolean;
  readonly renews: Sign;
  /** Since when it lives by its Lease alone, as the leader has seen it; `null`: it does not. */
  readonly headlessSince: string | null;
  /** An operator, or the autoscaler, wants it empty. */
  readonly drainAsked: boolean;
  readonly segments: readonly SegmentId[];
  readonly node: string;
  readonly opened: string | null;
};

type LeaderView = { readonly pod: string; readonly session: SessionId | null; readonly renews: Sign };

/** An active segment that nobody runs. */
type WaitingView = { readonly segment: SegmentId; readonly why: string };
/** A segment on its way: `announced` (the target gets the images), then `revoking` (the owner stops its bots). */
type MoveView = {
  readonly segment: SegmentId;
  readonly step: "announced" | "revoking";
  readonly from: SessionId | null;
  readonly to: SessionId | null;
};

/** What `runtime fleet --output json` prints, and the table is made of. A contract: docs/cli.md lists it. */
export type FleetReport = {
  readonly fleet: { readonly owner: string; readonly coordination: string; readonly incarnation: string; readonly settled: boolean } | null;
  readonly leader: LeaderView | null;
  readonly term: number | null;
  readonly figures: Figures | null;
  readonly observed: string | null;
  readonly lastScaling: { readonly from: number; readonly to: number; readonly why: string; readonly at: string } | null;
  /** In a cluster: what keeps it from having the pods that it should have. */
  readonly missing: MissingPods | null;
  readonly workers: readonly WorkerView[];
  readonly waiting: readonly WaitingView[];
  readonly moving: readonly MoveView[];
};

/** Joins what the books say. `before`: an earlier look, to tell from what has moved who is alive. */
export function viewFleet(look: FleetLook, before?: FleetSigns): FleetReport {
  const { fleet, term, view, segments, active } = look;
  const past = new Map(before?.workers.map((w) => [w._id, w]));
  const workers = new Map(look.workers.map((w) => [w._id, w]));
  const renews = (w: WorkerRecord): Sign => {
    if (!isLiving(w.state) || before === undefined) return null;
    const then = past.get(w._id);
    return then === undefined || isMoving(then, w);
  };
  const headless = new Map(view?.headless?.map(({ sid, since }) => [sid, since.toISOString()]));
  const owned = Map.groupBy(segments, (s) => s.owner);
  const leader = leaderOf(look, before, renews);
  return {
    fleet: fleet === undefined ? null : nameOf(fleet),
    leader,
    term: term ?? null,
    figures: view === undefined ? null : pickFigures(view),
    observed: view?.observedAt.toISOString() ?? null,
    lastScaling: view?.lastScaling === undefined ? null : { ...view.lastScaling, at: view.lastScaling.at.toISOString() },
    missing: view?.missing ?? null,
    workers: look.workers
      .map((w) => ({
        pod: w.pod,
        session: w._id,
        state: w.state,
        leads: isLiving(w.state) && leader?.session === w._id,
        renews: renews(w),
        headlessSince: isLiving(w.state) && renews(w) !== true ? (headless.get(w._id) ?? null) : null,
        drainAsked: w.drain === true,
        segments: (owned.get(w._id) ?? []).map((s) => s._id).toSorted((a, b) => a - b),
        node: w.node,
        opened: w.opened?.toISOString() ?? null,
      }))
      .toSorted(byLifeAndName),
    waiting: waitingOf(active, segments, workers),
    moving: segments
      .flatMap(({ _id, state, owner, target }): MoveView[] => {
        if (state === "free" || (state === "assigned" && target === null)) return [];
        return [{ segment: _id, step: state === "revoking" ? "revoking" : "announced", from: owner, to: target }];
      })
      .toSorted((a, b) => a.segment - b.segment),
  };
}

/** With COORDINATION=mongo the lease says who leads; else the last view, as long as its worker is there. */
function leaderOf(
  { fleet, election, view, workers }: FleetLook,
  before: FleetSigns | undefined,
  renews: (w: WorkerRecord) => Sign,
): LeaderView | null {
  if (fleet?.coordination === "mongo") {
    const session = election?.record.holder ?? null;
    if (election === undefined || session === null) return null;
    const record = workers.find((w) => w._id === session);
    const pod = record?.pod ?? (view?.sid === session ? view.leader : session);
    return { pod, session, renews: before === undefined ? null : before.election?.version !== election.version };
  }
  if (view === undefined) return null;
  const record = workers.find((w) => isLiving(w.state) && (view.sid === null ? w.pod === view.leader : w._id === view.sid));
  return record === undefined ? null : { pod: record.pod, session: record._id, renews: renews(record) };
}

function waitingOf(
  active: readonly SegmentId[],
  segments: readonly SegmentRecord[],
  workers: ReadonlyMap<SessionId, WorkerRecord>,
): readonly WaitingView[] {
  const records = new Map(segments.map((s) => [s._id, s]));
  const why = (segment: SegmentId): string | undefined => {
    const owner = records.get(segment)?.owner;
    if (owner === undefined) return "new: no leader has seen it yet";
    if (owner === null) return "no worker has been given it";
    const record = workers.get(owner);
    if (record === undefined) return `its owner ${owner} is not in the books`;
    return isLiving(record.state) ? undefined : `its owner ${record.pod} is ${record.state}`;
  };
  return active
    .toSorted((a, b) => a - b)
    .flatMap((segment) => {
      const reason = why(segment);
      return reason === undefined ? [] : [{ segment, why: reason }];
    });
}

function byLifeAndName(a: WorkerView, b: WorkerView): number {
  const life = Number(isLiving(b.state)) - Number(isLiving(a.state));
  return life || compare(a.pod, b.pod) || compare(a.session, b.session);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function nameOf({ owner, coordination, incarnation, settled = false }: FleetRecord): FleetReport["fleet"] {
  return { owner, coordination, incarnation, settled };
}
