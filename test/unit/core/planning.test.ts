import { aSegment, at, aWorker, segment, sid } from "../../support/builders.ts";
import { bots, itPlans, mine, of, PATIENT, up, waited } from "../../support/planning-cases.ts";

describe("core/assignment planAssignment(): who gets a segment", () => {
  itPlans([
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
      why: "takes the loss of most segments for a restart of the fleet, whose workers are on their way",
      observed: {
        active: [1, 2, 3],
        segments: [...of("a", 1), aSegment(2, { target: sid("lead") }), aSegment(3, { target: sid("gone") })],
        workers: up("a", "b", "lead"),
        leader: sid("lead"),
      },
      policy: PATIENT,
      gives: ["assign 2 to b"],
    },
    {
      why: "counts what drains in with it, and lets those bots run on",
      observed: {
        active: [1, 2, 3],
        segments: [...of("a", 1), ...of("c", 2), aSegment(3, { target: sid("gone") })],
        workers: [...up("a", "b"), aWorker("c", { state: "draining" })],
      },
      policy: PATIENT,
      gives: ["assign 3 to b"],
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
      why: "gives nothing at all to a worker without capacity",
      observed: { active: [1], segments: [aSegment(1, { target: sid("a") })], workers: [aWorker("a", { capacity: 0 })] },
      gives: [],
    },
    {
      why: "counts what it has just given",
      observed: { active: [1, 2, 3], segments: [1, 2, 3].map((id) => aSegment(id)), workers: up("a", "b"), bots: bots([1, 500], [2, 9]) },
      gives: ["assign 1 to a", "assign 2 to b", "assign 3 to b"],
    },
    {
      why: "fills the leader no further than anyone",
      observed: { active: [1, 2], segments: [aSegment(1), aSegment(2)], workers: up("a"), leader: sid("a"), bots: bots([1, 500], [2, 1]) },
      gives: ["assign 1 to a"],
    },
    {
      why: "spares the leader again after it had to take one",
      observed: {
        active: [1, 2, 3, 4, 5],
        segments: [...of("b", 3), ...of("a", 4, 5), aSegment(1), aSegment(2)],
        workers: up("a", "b"),
        leader: sid("a"),
        atCap: true,
        bots: bots([3, 500]),
        waiting: waited(30_000, 1),
      },
      policy: PATIENT,
      gives: ["assign 1 to a"],
    },
    {
      why: "runs a segment that is larger than any worker",
      observed: { active: [1], segments: [aSegment(1)], workers: up("a"), bots: bots([1, 501]) },
      gives: ["assign 1 to a"],
    },
  ]);
});
