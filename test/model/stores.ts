import type { LeaseWrite } from "../../src/core/lease.ts";
import type { Outcome } from "../../src/core/operations.ts";
import type { SegmentRecord, WorkerRecord } from "../../src/core/records.ts";
import { isLiving } from "../../src/core/session.ts";
import { applyTo, type Doc } from "../support/apply-operation.ts";
import { podUid, type Broken, type Late, type State, type Write } from "./state.ts";

type Applied = { readonly outcome: Outcome; readonly next: State; readonly broken: Broken | undefined };

/** What MongoDB does with one write, and whether it may. */
export function apply(state: State, { operation, meant }: Write): Applied {
  const { collection, id } = operation;
  const before = documentOf(state, operation);
  const { outcome, document } = applyTo(before, operation);
  if (outcome === "missed" || document === undefined) return { outcome, next: state, broken: undefined };
  const after: unknown = document;
  switch (collection) {
    case "workers":
      return {
        outcome,
        next: { ...state, workers: state.workers.map((w) => (w._id === id ? (after as WorkerRecord) : w)) },
        broken: judgeWorker(state, before as WorkerRecord | undefined, after as WorkerRecord, operation.op, meant),
      };
    case "segments": {
      const segment = after as SegmentRecord;
      const givenUp = segment.state === "free" ? Math.max(state.givenUp, segment.epoch) : state.givenUp;
      return { outcome, next: { ...state, segment, givenUp }, broken: judgeSegment(state, segment, operation.op, meant) };
    }
    case "status": {
      const [past, now] = [Number(before?.["epoch"] ?? 0), Number(document["epoch"])];
      const broken = now < past ? { invariant: "I5", why: `the status goes back from epoch ${past} to ${now}` } : undefined;
      return { outcome, next: { ...state, status: { _id: id, epoch: now, sid: document["sid"] } }, broken };
    }
    case "control":
    case "placements":
    default:
      throw new RangeError(`Cannot apply a write to "${collection}": the model has none`);
  }
}

function documentOf({ workers, segment, status }: State, { collection, id }: Write["operation"]): Doc | undefined {
  if (collection === "workers") return workers.find((w) => w._id === id);
  return collection === "segments" ? segment : status;
}

function judgeWorker(state: State, before: WorkerRecord | undefined, after: WorkerRecord, op: string, meant?: number): Broken | undefined {
  const { _id, inc } = after;
  if (meant !== undefined && inc !== meant) return { invariant: "I13", why: `${op} of process ${meant} lands on process ${inc} of ${_id}` };
  if (op === "O3" && before?.state !== "dead" && isProtected(state, _id))
    return { invariant: "I12", why: `${_id} is ended before its fence strikes` };
  if (before === undefined || isLiving(before.state) || (op !== "O0" && before.state === after.state)) return undefined;
  return { invariant: "I4", why: `${op} changes session ${after._id} from ${before.state} to ${after.state}` };
}

/** Whether the fence lets the bots of this session run still. */
function isProtected({ pods, now }: State, sid: string): boolean {
  const { process, fence } = pods[sid.startsWith(podUid(0)) ? 0 : 1];
  return process?.session?.sid === sid && process.session.lost === undefined && fence !== undefined && fence.deadline > now;
}

function judgeSegment(state: State, after: SegmentRecord, op: string, meant?: number): Broken | undefined {
  const { segment: before, givenUp, pods } = state;
  if (after.epoch < before.epoch) return { invariant: "I2", why: `the segment goes back from epoch ${before.epoch} to ${after.epoch}` };
  const isOther = after.epoch === before.epoch && before.owner !== null && after.owner !== before.owner;
  if (after.owner !== null && (isOther || after.epoch <= givenUp))
    return { invariant: "I2", why: `${after.owner} is a second owner under epoch ${after.epoch}` };
  if (after.state === "free" && pods.some((pod) => pod.container?.state === "running"))
    return { invariant: "I12", why: `${op} frees the segment while the bot runs` };
  if (op === "O4" && meant !== before.epoch) return { invariant: "I9", why: `O4 lands in epoch ${before.epoch}, which nobody planned` };
  if (after.state !== "free" && after.owner === null) return { invariant: "I8", why: `the segment is ${after.state} and nobody's` };
  // An assignment by an old leader is one all the same: what is free is free. Its term stands until the next one.
  return op === "O4" && after.term < before.term
    ? { invariant: "I11", why: `term ${after.term} writes after term ${before.term}` }
    : undefined;
}

/** What the API server does with one write: the version of the new object, or nothing after a conflict. */
export function writeLease(state: State, { sid, put, expect }: LeaseWrite): { readonly next: State; readonly version: string } | undefined {
  if (state.leases === "none" || state.leases.get(sid)?.version !== expect) return undefined;
  const version = String(state.versions + 1);
  return { next: { ...state, versions: state.versions + 1, leases: new Map(state.leases).set(sid, { lease: put, version }) }, version };
}

/** One of the requests under way lands. */
export function land(state: State, late: Late): { readonly next: State; readonly broken?: Broken | undefined } {
  const rest: State = { ...state, late: state.late.filter((other) => other !== late) };
  return "operation" in late ? apply(rest, late) : (writeLease(rest, late.lease) ?? { next: rest });
}

/** Drops requests that can never pass again: what they ask for is a counter that has gone on, and none goes back. Which
 *  tests a request carries is read from its data, so one that has lost a test is kept for longer. */
export function forget(state: State): State {
  const late = state.late.filter((one) => ("lease" in one ? canWrite(state, one.lease) : canPass(state, one.operation)));
  return late.length === state.late.length ? state : { ...state, late };
}

function canWrite({ leases }: State, { sid, expect }: LeaseWrite): boolean {
  return leases !== "none" && leases.get(sid)?.version === expect;
}

const RISING = new Set(["inc", "hbSeq", "epoch", "term"]);

function canPass(state: State, operation: Write["operation"]): boolean {
  const document = documentOf(state, operation);
  if (document === undefined) return true;
  return operation.where.some((tests) =>
    Object.entries(tests).every(([name, test]) => {
      const value = document[name];
      if (name === "state" && (value === "dead" || value === "gone")) return "in" in test && test.in.includes(value);
      if (!RISING.has(name) || typeof value !== "number") return true;
      if ("is" in test) return value <= Number(test.is);
      return "atMost" in test ? value <= test.atMost : true;
    }),
  );
}

/** The caller gives up, and the request is still under way. */
export function delay(state: State, late: Late, most: number): State | undefined {
  const spent = spend(state);
  return spent === undefined || state.late.length >= most ? undefined : { ...spent, late: [...state.late, late] };
}

/** One of the network's faults. */
export function spend(state: State): State | undefined {
  return state.left.faults > 0 ? { ...state, left: { ...state.left, faults: state.left.faults - 1 } } : undefined;
}
