import { aSegment, aWorker, epoch, segment, sid } from "../../support/builders.ts";
import { ANNOUNCING, bots, generations, itPlans, mine, of, PATIENT, up } from "../../support/planning-cases.ts";

describe("core/assignment planAssignment(): what moves", () => {
  itPlans([
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
      why: "starts no second move from a worker",
      observed: {
        active: [1, 2, 3, 4],
        segments: [...of("a", 1, 2, 3), mine(4, { state: "revoking", target: sid("b") })],
        workers: up("a", "b", "c"),
      },
      gives: [],
    },
    {
      why: "starts no second move to a worker",
      observed: {
        active: [1, 2, 3, 4],
        segments: [...of("a", 1, 2, 3), ...of("c", 4).map((s) => ({ ...s, state: "revoking" as const, target: sid("b") }))],
        workers: [...up("a", "b"), aWorker("c", { state: "draining" })],
      },
      gives: [],
    },
    {
      why: "does not spread to where a draining worker's segment goes",
      observed: {
        active: [1, 2, 3, 4],
        segments: [...of("a", 1, 2, 3), ...of("c", 4)],
        workers: [...up("a", "b"), aWorker("c", { state: "draining" })],
      },
      gives: ["revoke 4 from c to b: draining"],
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
      why: "lets them share at once when nobody is idle, for its bots will be missed",
      observed: {
        active: [1, 2],
        segments: [...of("a", 1), ...of("b", 2)],
        workers: [aWorker("a", { state: "draining" }), ...up("b")],
      },
      policy: PATIENT,
      gives: ["revoke 1 from a to b: draining"],
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
      why: "fills the newest pods to their share, and the older ones with the rest",
      observed: {
        active: [1, 2, 3, 4],
        segments: [1, 2, 3, 4].map((id) => aSegment(id)),
        workers: up("old", "new"),
        generations: generations(["old", 1], ["new", 2]),
      },
      gives: ["assign 1 to new", "assign 2 to new", "assign 3 to old", "assign 4 to old"],
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
        active: [1, 2, 3],
        segments: [aSegment(1, { target: sid("a") }), ...of("a", 2)],
        workers: up("a", "b"),
      },
      gives: ["create 3", "assign 1 to b"],
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
      why: "gives it to another when the target has its share by now",
      observed: {
        active: [1, 2, 3, 4, 5],
        segments: [aSegment(1, { target: sid("b") }), ...of("a", 2), ...of("b", 3, 4), ...of("c", 5)],
        workers: up("a", "b", "c"),
      },
      gives: ["assign 1 to a"],
    },
    {
      why: "gives it to another when the target is full by now",
      observed: {
        active: [1, 2, 3],
        segments: [aSegment(1, { target: sid("b") }), ...of("a", 2), ...of("b", 3)],
        workers: up("a", "b"),
        bots: bots([3, 500]),
      },
      gives: ["assign 1 to a"],
    },
    {
      why: "does not give it to a target that has become the leader",
      observed: { active: [1], segments: [aSegment(1, { target: sid("a") })], workers: up("a", "b"), leader: sid("a") },
      gives: ["assign 1 to b"],
    },
  ]);
});

describe("core/assignment planAssignment(): moves that are announced", () => {
  const draining = [aWorker("a", { state: "draining" }), ...up("b")];
  const announced = (over: Partial<ReturnType<typeof mine>> = {}) => [mine(1, { target: sid("b"), ...over })];
  itPlans([
    {
      why: "tells the target first, and stops nothing",
      observed: { active: [1], segments: [mine(1)], workers: draining },
      policy: ANNOUNCING,
      gives: ["announce 1 from a to b: draining"],
    },
    {
      why: "waits while the target gets its images",
      observed: { active: [1], segments: announced(), workers: draining, announced: new Map([[segment(1), 14_999]]) },
      policy: ANNOUNCING,
      gives: [],
    },
    {
      why: "moves as soon as the target is ready",
      observed: { active: [1], segments: announced({ ready: mine(1).epoch }), workers: draining },
      policy: ANNOUNCING,
      gives: ["revoke 1 from a to b: draining"],
    },
    {
      why: "does not take the readiness of another tenure for this one's",
      observed: { active: [1], segments: announced({ ready: epoch(mine(1).epoch - 1) }), workers: draining },
      policy: ANNOUNCING,
      gives: [],
    },
    {
      why: "moves without a word from the target when its time is over",
      observed: { active: [1], segments: announced(), workers: draining, announced: new Map([[segment(1), 15_000]]) },
      policy: ANNOUNCING,
      gives: ["revoke 1 from a to b: draining"],
    },
    {
      why: "tells another one when the target is gone",
      observed: { active: [1], segments: announced({ target: sid("c") }), workers: draining },
      policy: ANNOUNCING,
      gives: ["announce 1 from a to b: draining"],
    },
    {
      why: "keeps to its target though another idle worker comes",
      observed: { active: [1], segments: announced(), workers: [...draining, ...up("c")] },
      policy: ANNOUNCING,
      gives: [],
    },
    {
      why: "spreads in two steps as well",
      observed: { active: [1, 2], segments: of("a", 1, 2), workers: up("a", "b") },
      policy: ANNOUNCING,
      gives: ["announce 1 from a to b: spread"],
    },
    {
      why: "starts no other move while one is announced",
      observed: { active: [1, 2, 3, 4], segments: [...announced(), ...of("a", 2, 3, 4)], workers: up("a", "b") },
      policy: ANNOUNCING,
      gives: [],
    },
    {
      why: "ends an announced spread",
      observed: { active: [1, 2], segments: [...announced({ ready: mine(1).epoch }), ...of("a", 2)], workers: up("a", "b") },
      policy: ANNOUNCING,
      gives: ["revoke 1 from a to b: spread"],
    },
    {
      why: "waits longer where nobody leaves",
      observed: {
        active: [1, 2],
        segments: [...announced(), ...of("a", 2)],
        workers: up("a", "b"),
        announced: new Map([[segment(1), 59_999]]),
      },
      policy: ANNOUNCING,
      gives: [],
    },
    {
      why: "moves nothing to a worker that has fallen silent",
      observed: {
        active: [1, 2],
        segments: [...announced({ ready: mine(1).epoch }), ...of("a", 2)],
        workers: up("a", "b"),
        suspects: new Set([sid("b")]),
      },
      policy: ANNOUNCING,
      gives: [],
    },
    {
      why: "gives a free segment to a worker that is heard of",
      observed: { active: [1], segments: [aSegment(1)], workers: up("a", "b"), suspects: new Set([sid("a")]) },
      policy: ANNOUNCING,
      gives: ["assign 1 to b"],
    },
    {
      why: "takes nothing from a worker that has fallen silent",
      observed: { active: [1, 2, 3], segments: of("a", 1, 2, 3), workers: up("a", "b"), suspects: new Set([sid("a")]) },
      policy: ANNOUNCING,
      gives: [],
    },
    {
      why: "leaves a segment where it is when its announced target has gone, and takes its word back",
      observed: { active: [1], segments: announced(), workers: up("a") },
      policy: ANNOUNCING,
      gives: ["withdraw 1"],
    },
    {
      why: "takes its word back of a move to a worker that leaves",
      observed: { active: [1], segments: announced(), workers: [...up("a"), aWorker("b", { state: "draining" })] },
      policy: ANNOUNCING,
      gives: ["withdraw 1"],
    },
    {
      why: "tells another one at once where the move still pays",
      observed: { active: [1, 2], segments: [...announced(), ...of("a", 2)], workers: up("a", "c") },
      policy: ANNOUNCING,
      gives: ["announce 1 from a to c: spread"],
    },
    {
      why: "keeps its word to a target that has fallen silent: it may be heard of again, or will be ended",
      observed: { active: [1], segments: announced(), workers: up("a", "b"), suspects: new Set([sid("b")]) },
      policy: ANNOUNCING,
      gives: [],
    },
  ]);
});
