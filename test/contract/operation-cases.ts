import type { StatusRecord } from "../../src/core/records.ts";
import {
  announceMove,
  readyForMove,
  activate,
  adoptFleet,
  assignSegment,
  continueSession,
  deactivate,
  endSession,
  forgetPlacement,
  forgetStatus,
  freeSegment,
  nextTerm,
  type Operation,
  releaseSegment,
  renewSession,
  reportStatus,
  reportUnowned,
  revokeSegment,
  settleFleet,
  stepDown,
  withdrawMove,
} from "../../src/core/operations.ts";
import { aSegment, aWorker, bot, epoch, hash, segment, sid } from "../support/builders.ts";
import type { Doc } from "../support/apply-operation.ts";

export type OperationCase = {
  readonly why: string;
  readonly operation: Operation;
  /** The document before; absent = there is none. */
  readonly given?: Doc;
  /** What is different after it was won, `"gone"` when it was removed; absent = missed, and nothing changed. */
  readonly gives?: Readonly<Record<string, unknown>> | "gone";
};

const [a, b, seven] = [sid("a"), sid("b"), segment(7)];
const worker = (over: Parameters<typeof aWorker>[1] = {}): Doc => aWorker("a", { inc: 3, hbSeq: 40, ...over });
const free = (over: Parameters<typeof aSegment>[1] = {}): Doc => aSegment(7, { epoch: epoch(100), term: 2, ...over });
const owned = (over: Parameters<typeof aSegment>[1] = {}): Doc => free({ state: "assigned", owner: a, ...over });
const placement = (over: object = {}): Doc => ({ _id: "ticker", segment: 7, active: true, done: null, ...over });
const fleet = { _id: "fleet", owner: "engine", coordination: "none", schema: 1, incarnation: "i" } as const;
const newFleet = { owner: "other", coordination: "none", schema: 1, incarnation: "j" };

export const fields = (over: Partial<StatusRecord> = {}): Omit<StatusRecord, "_id" | "epoch" | "sid"> => ({
  state: "running",
  since: new Date(1_800_000_000_000),
  worker: "pod",
  container: null,
  restarts: 0,
  attempt: 0,
  nextStart: null,
  lastExit: null,
  message: "",
  warnings: [],
  spec: null,
  ...over,
});
const status = (over: Partial<StatusRecord> = {}): Doc => ({ _id: "ticker", epoch: 100, sid: "a", ...fields(over), ...over });
const stopped = fields({ state: "stopped" });
const invalid = fields({ state: "invalid", message: "image: is missing" });

export const operationCases: readonly OperationCase[] = [
  {
    why: "O0 goes on from the counter it saw",
    operation: continueSession(a, 3),
    given: worker(),
    gives: { inc: 4, hbSeq: 41, drain: false },
  },
  {
    why: "O0 wakes a draining session",
    operation: continueSession(a, 3),
    given: worker({ state: "draining" }),
    gives: { inc: 4, hbSeq: 41, state: "up", drain: false },
  },
  { why: "O0 loses to a process that was faster", operation: continueSession(a, 3), given: worker({ inc: 4 }) },
  { why: "O0 does not raise the dead", operation: continueSession(a, 3), given: worker({ state: "dead" }) },
  { why: "O0 does not bring back who has left", operation: continueSession(a, 3), given: worker({ state: "gone" }) },
  { why: "O0 makes no session", operation: continueSession(a, 3) },

  { why: "O1 renews", operation: renewSession(a, 3), given: worker(), gives: { hbSeq: 41 } },
  {
    why: "O1 says how its worker stands",
    operation: renewSession(a, 3, true, true),
    given: worker(),
    gives: { hbSeq: 41, state: "draining", degraded: true },
  },
  { why: "O1 renews while draining", operation: renewSession(a, 3), given: worker({ state: "draining" }), gives: { hbSeq: 41 } },
  { why: "O1 is refused to a replaced process", operation: renewSession(a, 3), given: worker({ inc: 4 }) },
  { why: "O1 is refused to the dead", operation: renewSession(a, 3), given: worker({ state: "dead" }) },
  { why: "O1 makes no session", operation: renewSession(a, 3) },

  { why: "a worker drains", operation: stepDown(a, 3, "draining"), given: worker(), gives: { state: "draining", hbSeq: 41 } },
  {
    why: "a worker leaves",
    operation: stepDown(a, 3, "gone"),
    given: worker({ state: "draining" }),
    gives: { state: "gone", hbSeq: 41 },
  },
  { why: "only its own process steps a session down", operation: stepDown(a, 2, "gone"), given: worker() },
  { why: "the dead do not step down", operation: stepDown(a, 3, "gone"), given: worker({ state: "dead" }) },
  { why: "who has left does not drain", operation: stepDown(a, 3, "draining"), given: worker({ state: "gone" }) },

  { why: "O3 ends a session whose counter stands", operation: endSession(a, 40), given: worker(), gives: { state: "dead" } },
  { why: "O3 spares a session that moved", operation: endSession(a, 40), given: worker({ hbSeq: 41 }) },
  {
    why: "O3 leaves gone as gone, for leaving moved the counter",
    operation: endSession(a, 40),
    given: worker({ state: "gone", hbSeq: 41 }),
  },

  {
    why: "O2 assigns under the next epoch",
    operation: assignSegment(seven, epoch(100), b, 2),
    given: free(),
    gives: { state: "assigned", owner: "b", epoch: 101 },
  },
  {
    why: "O2 of a newer leader leaves its term and clears the target",
    operation: assignSegment(seven, epoch(100), b, 5),
    given: free({ target: a }),
    gives: { state: "assigned", owner: "b", epoch: 101, term: 5, target: null },
  },
  { why: "O2 does not take from an owner, whose epoch is a later one", operation: assignSegment(seven, epoch(99), b, 2), given: owned() },
  { why: "O2 knows its epoch", operation: assignSegment(seven, epoch(100), b, 2), given: free({ epoch: epoch(101) }) },
  { why: "O2 makes no segment", operation: assignSegment(seven, epoch(100), b, 2) },

  {
    why: "O3' frees what the dead left",
    operation: freeSegment(seven, epoch(100)),
    given: owned({ state: "revoking", target: b }),
    gives: { state: "free", owner: null, target: null },
  },
  { why: "O3' knows the epoch", operation: freeSegment(seven, epoch(100)), given: owned({ epoch: epoch(102) }) },

  {
    why: "an announced move names its target, and nothing else changes",
    operation: announceMove(seven, epoch(100), b, 2),
    given: owned({ ready: epoch(99) }),
    gives: { target: "b", ready: null },
  },
  { why: "a move is announced of the tenure that was seen", operation: announceMove(seven, epoch(99), b, 2), given: owned() },
  { why: "what is free needs no announcement", operation: announceMove(seven, epoch(100), b, 2), given: free() },
  { why: "an old leader announces nothing", operation: announceMove(seven, epoch(100), b, 1), given: owned() },
  {
    why: "a move that was announced is taken back",
    operation: withdrawMove(seven, epoch(100), b, 2),
    given: owned({ target: b, ready: epoch(100) }),
    gives: { target: null, ready: null },
  },
  { why: "a move to somebody else is not taken back", operation: withdrawMove(seven, epoch(100), a, 2), given: owned({ target: b }) },
  { why: "a move of a later tenure is not taken back", operation: withdrawMove(seven, epoch(99), b, 2), given: owned({ target: b }) },
  {
    why: "a move that has begun is not taken back",
    operation: withdrawMove(seven, epoch(100), b, 2),
    given: owned({ state: "revoking", target: b }),
  },
  { why: "an old leader takes nothing back", operation: withdrawMove(seven, epoch(100), b, 1), given: owned({ target: b }) },
  {
    why: "a target is ready for the tenure it was told of",
    operation: readyForMove(seven, epoch(100), b),
    given: owned({ target: b }),
    gives: { ready: 100 },
  },
  { why: "nobody else is ready for a target", operation: readyForMove(seven, epoch(100), a), given: owned({ target: b }) },
  { why: "a target is not ready for a later tenure", operation: readyForMove(seven, epoch(99), b), given: owned({ target: b }) },

  {
    why: "O4 revokes",
    operation: revokeSegment(seven, epoch(100), b, 2),
    given: owned(),
    gives: { state: "revoking", target: "b" },
  },
  { why: "O4 knows the epoch", operation: revokeSegment(seven, epoch(99), null, 2), given: owned() },
  { why: "O4 leaves what is free", operation: revokeSegment(seven, epoch(100), null, 2), given: free() },
  { why: "O4 revokes once", operation: revokeSegment(seven, epoch(100), null, 2), given: owned({ state: "revoking" }) },
  { why: "O4 of an old leader is refused", operation: revokeSegment(seven, epoch(100), null, 1), given: owned() },

  {
    why: "O5 releases what was revoked, and leaves the target",
    operation: releaseSegment(seven, epoch(100)),
    given: owned({ state: "revoking", target: b }),
    gives: { state: "free", owner: null },
  },
  { why: "O5 releases", operation: releaseSegment(seven, epoch(100)), given: owned(), gives: { state: "free", owner: null } },
  { why: "O5 may be said again", operation: releaseSegment(seven, epoch(100)), given: free(), gives: {} },
  { why: "O5 does not reach a later tenure", operation: releaseSegment(seven, epoch(100)), given: owned({ epoch: epoch(101) }) },
  { why: "O5 knows the epoch", operation: releaseSegment(seven, epoch(99)), given: owned() },

  { why: "O7 takes the next term", operation: nextTerm(4), given: { _id: "leader", term: 4 }, gives: { term: 5 } },
  { why: "O7 loses to a faster leader", operation: nextTerm(4), given: { _id: "leader", term: 5 } },
  { why: "O7 makes no term", operation: nextTerm(4) },

  { why: "adopt changes hands", operation: adoptFleet(fleet, newFleet), given: fleet, gives: { ...newFleet, settled: false } },
  { why: "a fleet settles", operation: settleFleet("i"), given: fleet, gives: { settled: true } },
  { why: "a fleet of another life does not settle", operation: settleFleet("i"), given: { ...fleet, incarnation: "k" } },
  { why: "adopt knows the owner", operation: adoptFleet(fleet, newFleet), given: { ...fleet, owner: "third" } },
  { why: "adopt knows the incarnation", operation: adoptFleet(fleet, newFleet), given: { ...fleet, incarnation: "k" } },

  {
    why: "O6 makes the first report",
    operation: reportStatus(bot(), epoch(100), a, stopped),
    gives: { ...stopped, epoch: 100, sid: "a" },
  },
  {
    why: "O6 reports again",
    operation: reportStatus(bot(), epoch(100), a, stopped),
    given: status(),
    gives: { state: "stopped" },
  },
  {
    why: "O6 of a newer owner",
    operation: reportStatus(bot(), epoch(101), b, stopped),
    given: status(),
    gives: { state: "stopped", epoch: 101, sid: "b" },
  },
  {
    why: "O6 follows a report on an unowned document",
    operation: reportStatus(bot(), epoch(100), a, stopped),
    given: status({ epoch: 0, sid: null, state: "invalid" }),
    gives: { state: "stopped", epoch: 100, sid: "a" },
  },
  { why: "O6 of an old owner is refused", operation: reportStatus(bot(), epoch(99), b, stopped), given: status() },

  { why: "reports an unowned document", operation: reportUnowned(bot(), invalid), gives: invalid },
  {
    why: "reports a document whose _id names no bot",
    operation: reportUnowned({ document: '{"$numberInt":"5"}' }, invalid),
    gives: invalid,
  },
  {
    why: "reports a fault other than the last",
    operation: reportUnowned(bot(), invalid),
    given: status({ ...invalid, message: "old" }),
    gives: { message: invalid.message },
  },
  {
    why: "reports what a stopped bot's document became, and leaves its epoch",
    operation: reportUnowned(bot(), invalid),
    given: status({ state: "stopped" }),
    gives: { state: "invalid", message: invalid.message },
  },
  { why: "does not say the same twice", operation: reportUnowned(bot(), invalid), given: status(invalid) },
  { why: "leaves a living bot to its owner", operation: reportUnowned(bot(), invalid), given: status() },

  {
    why: "activates, and forgets the last end",
    operation: activate(bot()),
    given: placement({ active: false, done: "h" }),
    gives: { active: true, done: null },
  },
  { why: "activates once", operation: activate(bot()), given: placement() },
  { why: "activates nobody unknown", operation: activate(bot()) },
  { why: "deactivates", operation: deactivate(bot(), seven, null), given: placement(), gives: { active: false } },
  {
    why: "deactivates with the document that ended",
    operation: deactivate(bot(), seven, hash("h")),
    given: placement(),
    gives: { active: false, done: "h" },
  },
  { why: "deactivates in its own segment only", operation: deactivate(bot(), segment(8), null), given: placement() },
  { why: "deactivates nobody unknown", operation: deactivate(bot(), seven, null) },
  { why: "forgets an inactive placement", operation: forgetPlacement(bot()), given: placement({ active: false }), gives: "gone" },
  { why: "keeps an active placement", operation: forgetPlacement(bot()), given: placement() },
  { why: "forgets nothing twice", operation: forgetPlacement(bot()) },
  { why: "forgets a status", operation: forgetStatus(bot()), given: status(), gives: "gone" },
  {
    why: "forgets the status of a document whose _id names no bot",
    operation: forgetStatus({ document: "x" }),
    given: { ...status(), _id: { document: "x" } },
    gives: "gone",
  },
  { why: "forgets no status twice", operation: forgetStatus(bot()) },
];
