import type { BotId, Epoch, SegmentId, SessionId, SpecHash } from "./ids.ts";
import type { FleetRecord, StatusRecord } from "./records.ts";

/** The protocol's writes as data: each is one compare-and-set on one document. The store turns the same data into
 *  its query that a simulation applies to a plain object, so that what is proven is what runs. */

export type Collection = "control" | "placements" | "segments" | "workers" | "status";
type Scalar = string | number | boolean | null;
/** A document id; `{document}` marks one whose `_id` cannot name a bot. */
export type RecordId = string | number | { readonly document: string };
export type Test = { readonly is: Scalar } | { readonly isNot: Scalar } | { readonly in: readonly Scalar[] } | { readonly atMost: number };
/** Every field of one alternative must pass. */
export type Alternative = Readonly<Record<string, Test>>;

export type Operation = {
  /** The name in ownership.md, for logs and traces. */
  readonly op: string;
  readonly collection: Collection;
  readonly id: RecordId;
  /** At least one alternative must pass. Empty: any state of the document will do. */
  readonly where: readonly Alternative[];
  readonly set?: Readonly<Record<string, unknown>>;
  readonly add?: Readonly<Record<string, number>>;
  /** Insert when there is no such document. */
  readonly upsert?: true;
  /** Delete instead of changing. */
  readonly remove?: true;
};

export type Outcome = "won" | "missed";

const living: Test = { in: ["up", "draining"] };

/** O0 for a process that continues its session: only from the counter it has seen. */
export const continueSession = (sid: SessionId, inc: number): Operation => ({
  op: "O0",
  collection: "workers",
  id: sid,
  where: [{ inc: { is: inc }, state: living }],
  set: { state: "up", drain: false },
  add: { inc: 1, hbSeq: 1 },
});

/** O1: a miss means that this process no longer owns anything. A worker on its way out says so with every renewal, so
 *  that no lost write leaves it for the leader to give segments to. */
export const renewSession = (sid: SessionId, inc: number, isDraining = false, isDegraded?: boolean): Operation => ({
  op: "O1",
  collection: "workers",
  id: sid,
  where: [{ inc: { is: inc }, state: living }],
  ...((isDraining || isDegraded !== undefined) && {
    set: { ...(isDraining && { state: "draining" }), ...(isDegraded !== undefined && { degraded: isDegraded }) },
  }),
  add: { hbSeq: 1 },
});

/** A worker's own steps down: `draining` when it is told to stop, `gone` once it has released everything. */
export const stepDown = (sid: SessionId, inc: number, to: "draining" | "gone"): Operation => ({
  op: to,
  collection: "workers",
  id: sid,
  where: [{ inc: { is: inc }, state: living }],
  set: { state: to },
  add: { hbSeq: 1 },
});

/** An operator asks a worker to drain. It hears of it with its next renewal. */
export const askToDrain = (sid: SessionId): Operation => ({
  op: "drain",
  collection: "workers",
  id: sid,
  where: [{ state: living }],
  set: { drain: true },
});

/** O3, the half in MongoDB: only while the counter still stands where it was observed. Every change of state that a worker
 *  makes moves the counter, so this ends nobody who has left, and nobody twice. */
export const endSession = (sid: SessionId, hbSeq: number): Operation => ({
  op: "O3",
  collection: "workers",
  id: sid,
  where: [{ hbSeq: { is: hbSeq } }],
  set: { state: "dead" },
});

// A segment and an epoch name one tenure: the epoch rises with every assignment and at no other time. So a write that
// names the epoch needs to name neither the owner nor, where it makes no difference, the state.

/** O2. What is free under an epoch stays so until this raises it: no other leader can have written in between. */
export const assignSegment = (segment: SegmentId, epoch: Epoch, to: SessionId, term: number): Operation => ({
  op: "O2",
  collection: "segments",
  id: segment,
  where: [{ epoch: { is: epoch } }],
  set: { state: "assigned", owner: to, target: null, term },
  add: { epoch: 1 },
});

/** O3': frees what a dead or gone owner left. Whose term it is makes no difference: the dead stay dead. */
export const freeSegment = (segment: SegmentId, epoch: Epoch): Operation => ({
  op: "O3'",
  collection: "segments",
  id: segment,
  where: [{ epoch: { is: epoch } }],
  set: { state: "free", owner: null, target: null },
});

/** Before O4: tells `target` that it will get the segment. Nothing stops yet; whoever misses this is asked later, or never. */
export const announceMove = (segment: SegmentId, epoch: Epoch, target: SessionId, term: number): Operation => ({
  op: "announce",
  collection: "segments",
  id: segment,
  where: [{ epoch: { is: epoch }, state: { is: "assigned" }, term: { atMost: term } }],
  set: { target, ready: null, term },
});

/** Takes an announcement back whose target is no more. A move that has begun goes on: whoever releases finds no target that lives. */
export const withdrawMove = (segment: SegmentId, epoch: Epoch, target: SessionId, term: number): Operation => ({
  op: "withdraw",
  collection: "segments",
  id: segment,
  where: [{ epoch: { is: epoch }, state: { is: "assigned" }, target: { is: target }, term: { atMost: term } }],
  set: { target: null, ready: null, term },
});

/** The target's answer: the images are there. */
export const readyForMove = (segment: SegmentId, epoch: Epoch, target: SessionId): Operation => ({
  op: "ready",
  collection: "segments",
  id: segment,
  where: [{ epoch: { is: epoch }, target: { is: target } }],
  set: { ready: epoch },
});

/** O4. A leader that has been followed by another, and does not know it yet, moves nothing that the other has given away.
 *  What is free is not revoked: nobody would be there to release it. */
export const revokeSegment = (segment: SegmentId, epoch: Epoch, target: SessionId | null, term: number): Operation => ({
  op: "O4",
  collection: "segments",
  id: segment,
  where: [{ epoch: { is: epoch }, state: { is: "assigned" }, term: { atMost: term } }],
  set: { state: "revoking", target, term },
});

/** O5: the owner lets go, after its stop proof. */
export const releaseSegment = (segment: SegmentId, epoch: Epoch): Operation => ({
  op: "O5",
  collection: "segments",
  id: segment,
  where: [{ epoch: { is: epoch } }],
  set: { state: "free", owner: null },
});

/** O7: a new leader guards its writes by a term that no other leader has. */
export const nextTerm = (term: number): Operation => ({
  op: "O7",
  collection: "control",
  id: "leader",
  where: [{ term: { is: term } }],
  add: { term: 1 },
});

/** The database changes hands: only from the fleet that was seen to hold it. */
export const adoptFleet = (from: FleetRecord, to: Omit<FleetRecord, "_id">): Operation => ({
  op: "adopt",
  collection: "control",
  id: "fleet",
  where: [{ owner: { is: from.owner }, incarnation: { is: from.incarnation } }],
  set: { ...to, settled: false },
});

/** No session of an earlier life of this database can be running bots any more: later leaders need not wait again. */
export const settleFleet = (incarnation: string): Operation => ({
  op: "settle",
  collection: "control",
  id: "fleet",
  where: [{ incarnation: { is: incarnation } }],
  set: { settled: true },
});

/** O6: the store refuses the report of an owner that has been followed by another. */
export const reportStatus = (bot: BotId, epoch: Epoch, sid: SessionId, fields: Omit<StatusRecord, "_id" | "epoch" | "sid">): Operation => ({
  op: "O6",
  collection: "status",
  id: bot,
  where: [{ epoch: { atMost: epoch } }],
  set: { ...fields, epoch, sid },
  upsert: true,
});

/** The leader's report on a document that nobody has in hand: it never touches what an owner says of a living bot, and
 *  is missed when it would say the same again. */
export const reportUnowned = (id: RecordId, fields: Omit<StatusRecord, "_id" | "epoch" | "sid">): Operation => ({
  op: "report",
  collection: "status",
  id,
  where: [{ state: { in: ["stopped", "completed", "failed"] } }, { state: { is: "invalid" }, message: { isNot: fields.message } }],
  set: fields,
  upsert: true,
});

/** The leader lets a bot's segment count it, or count it again after its document changed. */
export const activate = (bot: BotId): Operation => ({
  op: "activate",
  collection: "placements",
  id: bot,
  where: [{ active: { is: false } }],
  set: { active: true, done: null },
});

/** The owner, after the bot's stop proof. `done` names the document that ended by itself. */
export const deactivate = (bot: BotId, segment: SegmentId, done: SpecHash | null): Operation => ({
  op: "deactivate",
  collection: "placements",
  id: bot,
  where: [{ segment: { is: segment } }],
  set: { active: false, done },
});

/** Forgets a deleted bot. Only an inactive placement may go: an active one still waits for its owner's proof. */
export const forgetPlacement = (bot: BotId): Operation => ({
  op: "forget",
  collection: "placements",
  id: bot,
  where: [{ active: { is: false } }],
  remove: true,
});

/** Placement and status of a deleted bot go together; this is the second half. */
export const forgetStatus = (id: RecordId): Operation => ({ op: "forget", collection: "status", id, where: [], remove: true });
