import { expect } from "chai";
import { ALONE, type AssignmentPolicy, type AssignmentStep, type Observed, planAssignment } from "../../src/core/assignment.ts";
import type { SegmentId, SessionId } from "../../src/core/ids.ts";
import type { SegmentRecord, WorkerRecord } from "../../src/core/records.ts";
import type { Waiting } from "../../src/core/waiting.ts";
import { aSegment, at, aWorker, segment, sid } from "./builders.ts";

export const mine = (id: number, over: Partial<SegmentRecord> = {}): SegmentRecord =>
  aSegment(id, { state: "assigned", owner: sid("a"), ...over });
export const of = (owner: string, ...ids: number[]): SegmentRecord[] => ids.map((id) => mine(id, { owner: sid(owner) }));
export const up = (...ids: string[]): WorkerRecord[] => ids.map((id) => aWorker(id));
export const generations = (...of: [string, number][]): Map<SessionId, number> => new Map(of.map(([id, n]) => [sid(id), n]));
export const bots = (...of: [number, number][]): Map<SegmentId, number> => new Map(of.map(([id, n]) => [segment(id), n]));

/** In a cluster: half a minute for a worker of one's own, none for bots that ran before. */
export const PATIENT: AssignmentPolicy = { patienceMs: 30_000, lostPatienceMs: 0 };
/** With moves that are announced before they are made. */
export const ANNOUNCING: AssignmentPolicy = { ...PATIENT, pullPatienceMs: 15_000 };
export const waited = (ms: number, ...ids: number[]): Waiting =>
  new Map(ids.map((id) => [segment(id), { owner: null, since: at(0), waitedMs: ms, lastOwner: null }]));

/** A plan in short: "create 1", "free 1", "assign 1 to a", "revoke 1 from a to b: spread". */
function told(steps: readonly AssignmentStep[]): string[] {
  return steps.map((step) => {
    if (step.kind === "assign") return `assign ${step.segment} to ${step.to}`;
    if (step.kind === "revoke" || step.kind === "announce")
      return `${step.kind} ${step.segment} from ${step.owner} to ${step.target}: ${step.why}`;
    return `${step.kind} ${step.segment}`;
  });
}

type PlanCase = {
  readonly why: string;
  readonly observed: Omit<Observed, "active"> & { readonly active: readonly number[] };
  /** @default ALONE */
  readonly policy?: AssignmentPolicy;
  readonly gives: readonly string[];
};

/** One test for each case: what is seen, and the plan in short. */
export function itPlans(cases: readonly PlanCase[]): void {
  for (const { why, observed, policy = ALONE, gives } of cases)
    it(why, () => expect(told(planAssignment({ ...observed, active: observed.active.map(segment) }, policy))).to.deep.equal(gives));
}
