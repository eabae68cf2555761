import { expect } from "chai";
import { ALONE, type AssignmentPolicy, type Observed, planAssignment } from "../../../src/core/assignment.ts";
import type { SegmentId, SessionId } from "../../../src/core/ids.ts";
import type { SegmentRecord, WorkerRecord } from "../../../src/core/records.ts";
import type { Waiting } from "../../../src/core/waiting.ts";
import { aSegment, at, aWorker, segment, sid } from "../../support/builders.ts";
import { told } from "../../support/planned-fleet.ts";

const mine = (id: number, over: Partial<SegmentRecord> = {}): SegmentRecord =>
  aSegment(id, { state: "assigned", owner: sid("a"), ...over });
const of = (owner: string, ...ids: number[]): SegmentRecord[] => ids.map((id) => mine(id, { owner: sid(owner) }));
const up = (...ids: string[]): WorkerRecord[] => ids.map((id) => aWorker(id));
const generations = (...of: [string, number][]): Map<SessionId, number> => new Map(of.map(([id, n]) => [sid(id), n]));
const bots = (...of: [number, number][]): Map<SegmentId, number> => new Map(of.map(([id, n]) => [segment(id), n]));

/** In a cluster: half a minute for a worker of one's own, none for bots that ran before. */
const PATIENT: AssignmentPolicy = { patienceMs: 30_000, lostPatienceMs: 0 };
const waited = (ms: number, ...ids: number[]): Waiting =>
  new Map(ids.map((id) => [segment(id), { owner: null, since: at(0), waitedMs: ms, lastOwner: null }]));

describe("core/assignment planAssignment()", () => {
  const cases: { why: string; observed: Omit<Observed, "active"> & { active: number[] }; policy?: AssignmentPolicy; gives: string[] }[] = [
    { why: "creates the record of a new active segment", observed: { active: [1], segments: [], workers: up("a") }, gives: ["create 1"] },
    {
      why: "assigns a free active segment",
      observed: { active: [1], segments: [aSegment(1)], workers: up("a") },
      gives: ["assign 1 to a"],
    },
    {
      why: "gives segments to the least loaded",
      observed: { active: [1, 2, 3], segments: [mine(1), aSegment(2), aSegment(3)], workers: up("a", "b") },
      gives: ["assign 2 to b", "assign 3 to a"],
    },
    {
      why: "frees what a dead owner left",
      observed: { active: [1], segments: [mine(1)], workers: [aWorker("a", { state: "dead" })] },
      gives: ["free 1"],
    },
    { why: "frees what an unknown owner left", observed: { active: [1], segments: [mine(1)], workers: [] }, gives: ["free 1"] },
    {
      why: "gives nothing to a draining worker",
      observed: { active: [1], segments: [aSegment(1)], workers: [aWorker("a", { state: "draining" })] },
      gives: [],
    },
    {
      why: "revokes a segment without active bots",
      observed: { active: [], segments: [mine(1)], workers: up("a") },
      gives: ["revoke 1 from a to null: inactive"],
    },
    { why: "leaves an idle free segment alone", observed: { active: [], segments: [aSegment(1)], workers: up("a") }, gives: [] },

    {
      why: "leaves idle workers idle: nothing moves for the sake of moving",
      observed: { active: [1, 2], segments: [...of("a", 1), ...of("b", 2)], workers: up("a", "b", "c", "d") },
      gives: [],
    },
    {
      why: "keeps to one segment per worker while a worker may still come",
      observed: { active: [1, 2, 3], segments: [...of("a", 1), aSegment(2), aSegment(3)], workers: up("a", "b") },
      policy: PATIENT,
      gives: ["assign 2 to b"],
    },
    {
      why: "shares what has waited long enough, and only that",
      observed: { active: [1, 2, 3], segments: [...of("a", 1), aSegment(2), aSegment(3)], workers: up("a"), waiting: waited(30_000, 3) },
      policy: PATIENT,
      gives: ["assign 3 to a"],
    },
    {
      why: "shares at once when nobody else can come",
      observed: { active: [1, 2, 3], segments: [...of("a", 1), aSegment(2), aSegment(3)], workers: up("a"), atCap: true },
      policy: PATIENT,
      gives: ["assign 2 to a", "assign 3 to a"],
    },
    {
      why: "shares at once what ran before",
      observed: {
        active: [1, 2, 3],
        segments: [...of("a", 1), aSegment(2), aSegment(3)],
        workers: up("a"),
        waiting: new Map([[segment(2), { owner: null, since: at(0), waitedMs: 0, lastOwner: sid("z") }]]),
      },
      policy: PATIENT,
      gives: ["assign 2 to a"],
    },
    {
      why: "gives the only idle worker to what ran before, then to what drains, then to what is new",
      observed: {
        active: [1, 2, 3],
        segments: [aSegment(1), ...of("a", 2), aSegment(3, { target: sid("gone") })],
        workers: [...up("b"), aWorker("a", { state: "draining" })],
      },
      policy: { patienceMs: 30_000, lostPatienceMs: 30_000 },
      gives: ["assign 3 to b"],
    },

    {
      why: "spares the leader while others may come",
      observed: { active: [1, 2], segments: [aSegment(1), aSegment(2)], workers: up("a", "b"), leader: sid("a") },
      policy: PATIENT,
      gives: ["assign 1 to b"],
    },
    {
      why: "lets others share before the leader takes one",
      observed: {
        active: [1, 2],
        segments: [aSegment(1), aSegment(2)],
        workers: up("a", "b"),
        leader: sid("a"),
        waiting: waited(30_000, 1, 2),
      },
      policy: PATIENT,
      gives: ["assign 1 to b", "assign 2 to b"],
    },
    {
      why: "gives all to the leader when there is nobody else and they have waited",
      observed: {
        active: [1, 2, 3],
        segments: [aSegment(1), aSegment(2), aSegment(3)],
        workers: up("a"),
        leader: sid("a"),
        atCap: true,
        waiting: waited(30_000, 1, 2),
      },
      policy: PATIENT,
      gives: ["assign 1 to a", "assign 2 to a"],
    },
    {
      why: "gives all to a leader who is alone, at once",
      observed: { active: [1, 2], segments: [aSegment(1), aSegment(2)], workers: up("a"), leader: sid("a") },
      gives: ["assign 1 to a", "assign 2 to a"],
    },
    {
      why: "leaves a busy leader its segment: leadership moves, bots do not",
      observed: { active: [1], segments: [mine(1)], workers: up("a", "b"), leader: sid("a") },
      gives: [],
    },

    {
      why: "gives a full worker no further segment",
      observed: {
        active: [1, 2, 3],
        segments: [...of("a", 1), ...of("b", 2), aSegment(3)],
        workers: up("a", "b"),
        bots: bots([1, 500], [2, 499], [3, 1]),
      },
      gives: ["assign 3 to b"],
    },
    {
      why: "leaves a segment waiting when all are full",
      observed: { active: [1, 2], segments: [mine(1), aSegment(2)], workers: up("a"), bots: bots([1, 500], [2, 1]) },
      gives: [],
    },
    {
      why: "gives the leader what the others have no room for",
      observed: {
        active: [1, 2],
        segments: [mine(1), aSegment(2)],
        workers: up("a", "b"),
        leader: sid("b"),
        bots: bots([1, 500], [2, 1]),
      },
      gives: ["assign 2 to b"],
    },
    {
      why: "runs a segment that is larger than any worker",
      observed: { active: [1], segments: [aSegment(1)], workers: up("a"), bots: bots([1, 501]) },
      gives: ["assign 1 to a"],
    },

    {
      why: "spreads a shared segment to an idle worker: the one with the fewest bots, one at a time",
      observed: { active: [1, 2, 3], segments: of("a", 1, 2, 3), workers: up("a", "b"), bots: bots([1, 5], [2, 3], [3, 4]) },
      gives: ["revoke 2 from a to b: spread"],
    },
    {
      why: "spreads from the most loaded to the least loaded, each in one move",
      observed: { active: [1, 2, 3, 4, 5], segments: [...of("a", 1, 2), ...of("b", 3, 4, 5)], workers: up("a", "b", "c", "d") },
      gives: ["revoke 3 from b to c: spread", "revoke 1 from a to d: spread"],
    },
    {
      why: "does not spread for a difference of one",
      observed: { active: [1, 2, 3], segments: [...of("a", 1, 2), ...of("b", 3)], workers: up("a", "b") },
      gives: [],
    },
    {
      why: "does not spread to the leader, but from it",
      observed: { active: [1, 2, 3, 4], segments: [...of("a", 1, 2), ...of("b", 3, 4)], workers: up("a", "b", "c"), leader: sid("a") },
      gives: ["revoke 1 from a to c: spread"],
    },
    {
      why: "starts no second move at either end of one",
      observed: {
        active: [1, 2, 3, 4, 5],
        segments: [...of("a", 1, 2, 3, 4), mine(5, { state: "revoking", target: sid("b") })],
        workers: up("a", "b"),
      },
      gives: [],
    },
    {
      why: "does not spread to a full worker",
      observed: {
        active: [1, 2, 3, 4],
        segments: [...of("a", 1, 2, 3), ...of("b", 4)],
        workers: up("a", "b"),
        bots: bots([4, 500]),
      },
      gives: [],
    },
    {
      why: "does not spread while a rollout goes on",
      observed: { active: [1, 2], segments: of("a", 1, 2), workers: up("a", "b"), generations: generations(["a", 1], ["b", 2]) },
      gives: [],
    },

    {
      why: "plans a target for each segment of a draining worker",
      observed: {
        active: [1, 2],
        segments: of("a", 1, 2),
        workers: [aWorker("a", { state: "draining" }), ...up("b", "c")],
      },
      policy: PATIENT,
      gives: ["revoke 1 from a to b: draining", "revoke 2 from a to c: draining"],
    },
    {
      why: "leaves bots with a draining worker while there is nobody to take them",
      observed: { active: [1], segments: [mine(1)], workers: [aWorker("a", { state: "draining" })] },
      gives: [],
    },
    {
      why: "prefers the newest pods, though older ones are idle",
      observed: {
        active: [1, 2],
        segments: [aSegment(1), mine(2)],
        workers: [...up("old", "new"), aWorker("a", { state: "draining" })],
        generations: generations(["a", 1], ["old", 1], ["new", 2]),
      },
      policy: PATIENT,
      gives: ["revoke 2 from a to new: draining", "assign 1 to old"],
    },

    {
      why: "gives a released segment to its target",
      observed: { active: [1], segments: [aSegment(1, { target: sid("b") })], workers: up("a", "b") },
      gives: ["assign 1 to b"],
    },
    {
      why: "keeps a place for what is on its way",
      observed: {
        active: [1, 2],
        segments: [mine(1, { state: "revoking", target: sid("b") }), aSegment(2)],
        workers: [aWorker("a", { state: "draining" }), ...up("b", "c")],
      },
      gives: ["assign 2 to c"],
    },
    {
      why: "gives it to anyone when the target died, at once, for its bots ran before",
      observed: {
        active: [1, 2],
        segments: [aSegment(1, { target: sid("b") }), ...of("a", 2)],
        workers: [...up("a"), aWorker("b", { state: "dead" })],
      },
      policy: PATIENT,
      gives: ["assign 1 to a"],
    },
    {
      why: "gives it to an idle worker rather than to a target that is busy by now",
      observed: {
        active: [1, 2],
        segments: [aSegment(1, { target: sid("a") }), ...of("a", 2)],
        workers: up("a", "b"),
      },
      gives: ["assign 1 to b"],
    },
    {
      why: "gives it to a busy target when nobody is idle",
      observed: {
        active: [1, 2, 3],
        segments: [aSegment(1, { target: sid("b") }), ...of("a", 2), ...of("b", 3)],
        workers: up("a", "b"),
      },
      policy: { patienceMs: 30_000, lostPatienceMs: 30_000 },
      gives: ["assign 1 to b"],
    },
    {
      why: "does not give it to a target that has become the leader",
      observed: { active: [1], segments: [aSegment(1, { target: sid("a") })], workers: up("a", "b"), leader: sid("a") },
      gives: ["assign 1 to b"],
    },
  ];
  for (const { why, observed, policy = ALONE, gives } of cases)
    it(why, () => expect(told(planAssignment({ ...observed, active: observed.active.map(segment) }, policy))).to.deep.equal(gives));
});
