import type { MonoMs } from "../../src/core/clock.ts";
import { planBot, type Desired } from "../../src/core/containers.ts";
import type { Epoch, SegmentId } from "../../src/core/ids.ts";
import { type Operation, type Outcome, releaseSegment, renewSession, reportStatus, stepDown } from "../../src/core/operations.ts";
import type { SegmentRecord } from "../../src/core/records.ts";
import { FRESH } from "../../src/core/restart.ts";
import { afterRenewal, rightOf, type Session } from "../../src/core/session.ts";
import { proveStopped, quietSegments } from "../../src/core/stop-proof.ts";
import { mayStartIn, meetSegments } from "../../src/core/tenure.ts";
import { fields } from "../contract/operation-cases.ts";
import { aSpec } from "../support/builders.ts";
import type { Bounds } from "./bounds.ts";
import { bootSteps, settle } from "./session-steps.ts";
import { afterPut, leaseSteps } from "./lease-steps.ts";
import {
  BOT,
  type Call,
  change,
  changeProcess,
  type Pod,
  podUid,
  type Process,
  SEGMENT,
  SPEC_HASH,
  type State,
  type Step,
} from "./state.ts";
import { apply, delay, spend } from "./stores.ts";

const SPEC = aSpec();
const RUN_STATUS = fields();
const STRANGER: Desired = { want: "stop", why: "not-mine" };

/** What one pod's process may do. None of it has to happen: a process that is stopped, cut off or slow does less. */
export function workerSteps(state: State, n: number, bounds: Bounds, out: Step[]): void {
  const pod = state.pods[n as 0 | 1];
  if (pod.isLost) return;
  const { process } = pod;
  deathSteps(state, n, pod, out);
  if (process === undefined || process.session === undefined) return bootSteps(state, n, pod, bounds, out);
  const { session } = process;
  answerSteps(state, n, process, session, bounds, out);
  if (session.lost !== undefined) {
    for (const [how, next] of ends(state, n, pod)) out.push({ what: `${podUid(n)}: the process ends${how}`, next });
    return;
  }
  renewSteps(state, n, process, session, bounds, out);
  if (bounds.leases) leaseSteps(state, n, process, session, bounds, out);
  pollSteps(state, n, process, session, out);
  visitSteps(state, n, pod, process, session, bounds, out);
  releaseSteps(state, n, pod, process, bounds, out);
  drainSteps(state, n, process, session, out);
}

/** At the beginning of a tick a process renews, or begins to be silent, or its pod is lost. */
export function dueSteps(state: State, n: number, bounds: Bounds, out: Step[]): void {
  const { process } = state.pods[n as 0 | 1];
  if (process === undefined || !isDue(process, state.now) || process.session === undefined) return;
  renewSteps(state, n, process, process.session, bounds, out);
  const spent = die(state);
  if (spent === undefined) return;
  out.push({ what: `${podUid(n)}: the process is stopped or cut off`, next: changeProcess(spent, n, { isSilent: true }) });
  out.push({ what: `${podUid(n)}: is lost`, next: lose(spent, n) });
}

function isDue({ session, isSilent, triedAt }: Process, now: MonoMs): boolean {
  return session !== undefined && session.lost === undefined && !isSilent && triedAt < now;
}

function die(state: State): State | undefined {
  return state.left.deaths === 0 ? undefined : { ...state, left: { ...state.left, deaths: state.left.deaths - 1 } };
}

/** A process that ends leaves in dockerd's hands what it had just asked for, or it had not asked yet. */
function ends(state: State, n: number, { process, container, isDockerUp }: Pod): [string, State][] {
  const gone = change(state, n, { process: undefined });
  const call = process?.call;
  if (!isDockerUp || call?.kind !== "start" || container?.id !== call.id) return [["", gone]];
  return [
    ["", gone],
    [", its start is still under way", change(gone, n, { lateStart: call.id })],
  ];
}

function deathSteps(state: State, n: number, pod: Pod, out: Step[]): void {
  const spent = die(state);
  if (spent === undefined) return;
  // One whose session is lost ends by itself.
  if (pod.process?.session !== undefined && pod.process.session.lost === undefined)
    for (const [how, next] of ends(spent, n, pod)) out.push({ what: `${podUid(n)}: the process is killed${how}`, next });
}

function lose(state: State, n: number): State {
  return change(state, n, {
    isLost: true,
    process: undefined,
    container: undefined,
    isDockerUp: false,
    lateStart: undefined,
    fence: undefined,
  });
}

/** O1, sent and applied now; its reply comes now, later, or never. */
function renewSteps(before: State, n: number, { isDraining, answer }: Process, session: Session, bounds: Bounds, out: Step[]): void {
  const request = { operation: renewSession(session.sid, session.inc, isDraining), meant: session.inc };
  const sentAt = before.now;
  const state = changeProcess(before, n, { triedAt: sentAt });
  const what = `${podUid(n)}: O1`;
  const { outcome, next, broken } = apply(state, request);
  out.push({ what: `${what} ${outcome}`, next: afterO1(next, n, session, sentAt, outcome, bounds), broken });
  const spent = spend(next);
  if (spent !== undefined && outcome === "won") out.push({ what: `${what} ${outcome}, the reply is lost`, next: spent, broken });
  if (spent !== undefined && answer === undefined)
    out.push({
      what: `${what} ${outcome}, the reply is under way`,
      next: changeProcess(spent, n, { answer: { kind: "O1", outcome, sentAt } }),
      broken,
    });
  const under = delay(state, request, bounds.late);
  if (under !== undefined) out.push({ what: `${what} is under way`, next: under });
}

/** The reply to O1 comes. */
function afterO1(state: State, n: number, session: Session, sentAt: MonoMs, outcome: Outcome, bounds: Bounds): State {
  const isSilent = sentAt < state.now && state.pods[n as 0 | 1].process?.isSilent === true;
  return settle(changeProcess(state, n, { session: afterRenewal(session, sentAt, outcome), isSilent }), n, bounds);
}

function answerSteps(state: State, n: number, { answer }: Process, session: Session, bounds: Bounds, out: Step[]): void {
  if (answer === undefined) return;
  const rest = changeProcess(state, n, { answer: undefined });
  const what = `${podUid(n)}: the reply to ${answer.kind} comes`;
  if (answer.kind === "O1") out.push({ what, next: afterO1(rest, n, session, answer.sentAt, answer.outcome, bounds) });
  if (answer.kind === "O1'") out.push({ what, next: afterPut(rest, n, session, answer.sentAt, answer.version, bounds) });
  if (answer.kind === "poll" && session.lost === undefined) out.push({ what, next: meet(rest, n, answer.records) });
}

function pollSteps(state: State, n: number, { answer, tenures }: Process, session: Session, out: Step[]): void {
  const records = state.segment.owner === session.sid || tenures.has(SEGMENT) ? [state.segment] : [];
  out.push({ what: `${podUid(n)}: polls`, next: meet(state, n, records) });
  const spent = spend(state);
  if (spent !== undefined && answer === undefined && records.length > 0)
    out.push({ what: `${podUid(n)}: polls, the reply is under way`, next: changeProcess(spent, n, { answer: { kind: "poll", records } }) });
}

const releasedIn =
  ({ released }: Pod) =>
  (_segment: SegmentId): Epoch | undefined =>
    released;

function meet(state: State, n: number, records: readonly SegmentRecord[]): State {
  const pod = state.pods[n as 0 | 1];
  if (pod.process === undefined) return state;
  const { session, isDraining } = pod.process;
  if (session === undefined) return state;
  const { tenures } = meetSegments(pod.process.tenures, records, { sid: session.sid, released: releasedIn(pod), isDraining });
  return changeProcess(state, n, { tenures, isComplete: true });
}

function desiredOf(state: State, { tenures }: Process, session: Session, { timings }: Bounds): Desired | undefined {
  const tenure = tenures.get(SEGMENT);
  if (tenure === undefined) return undefined;
  if (tenure.state === "leaving") return { want: "stop", why: "released" };
  if (rightOf(session, state.now, timings) === "stop") return { want: "stop", why: "draining" };
  return { want: "run", spec: SPEC, hash: SPEC_HASH, segment: SEGMENT, epoch: tenure.epoch, sid: session.sid };
}

/** One look at the bot's name, and the next act on it. */
function visitSteps(state: State, n: number, pod: Pod, process: Process, session: Session, bounds: Bounds, out: Step[]): void {
  if (process.call !== undefined || !pod.isDockerUp) return;
  const desired = desiredOf(state, process, session, bounds);
  if (desired === undefined && !process.isComplete) return;
  const { container } = pod;
  const step = planBot(desired ?? STRANGER, container === undefined ? { kind: "none" } : { kind: "ours", container }, FRESH, state.now);
  const ask = (call: Call, from = state): void => {
    const broken = call.kind === "stop" ? judgeStop(state, session, pod, process, bounds) : undefined;
    out.push({ what: `${podUid(n)}: asks for ${call.kind} (epoch ${call.epoch})`, next: changeProcess(from, n, { call }), broken });
  };
  switch (step?.kind) {
    case "start": {
      if (desired?.want !== "run" || process.isDraining) return;
      if (rightOf(session, state.now, bounds.timings) !== "start") return;
      if (mayStartIn(process.tenures, releasedIn(pod), SEGMENT, desired.epoch))
        ask({ kind: "create", sid: session.sid, epoch: desired.epoch });
      return;
    }
    case "stop": {
      const { id, epoch } = step.container;
      return ask({ kind: "stop", id, epoch }, apply(state, { operation: reportStatus(BOT, epoch, session.sid, RUN_STATUS) }).next);
    }
    case "reap":
    case "remove": {
      const { id, epoch } = step.container;
      return ask({ kind: "remove", id, epoch });
    }
    case "adopt":
    case "wait":
    case undefined:
    default:
      if (process.isDoubtful)
        out.push({ what: `${podUid(n)}: looks, nothing is to be done`, next: changeProcess(state, n, { isDoubtful: false }) });
  }
}

/** I10. */
function judgeStop(
  { segment, now }: State,
  session: Session,
  { container }: Pod,
  { isDraining }: Process,
  { timings }: Bounds,
): Step["broken"] {
  if (container?.state !== "running" || container.sid !== session.sid) return undefined;
  const isCurrent = segment.owner === session.sid && segment.epoch === container.epoch && segment.state === "assigned";
  if (!isCurrent || isDraining || rightOf(session, now, timings) === "stop") return undefined;
  return { invariant: "I10", why: `the owner kills its bot under its own epoch ${container.epoch}` };
}

/** The stop proof, the release record, O5. */
function releaseSteps(state: State, n: number, pod: Pod, process: Process, bounds: Bounds, out: Step[]): void {
  if (!pod.isDockerUp) return; // no list, no proof
  const busy = process.call !== undefined || process.isDoubtful ? [BOT] : [];
  const quiet = quietSegments(process.tenures, busy, () => SEGMENT);
  const { proven } = proveStopped(quiet, pod.container === undefined ? [] : [pod.container]);
  const epoch = process.tenures.get(SEGMENT)?.epoch;
  if (proven.length === 0 || epoch === undefined) return;
  const recorded = change(state, n, { released: epoch });
  write(recorded, n, releaseSegment(SEGMENT, epoch), bounds, out, (next) => changeProcess(next, n, { tenures: new Map() }));
}

function drainSteps(state: State, n: number, process: Process, session: Session, out: Step[]): void {
  if (!process.isDraining) {
    if (state.left.moves === 0) return;
    const spent: State = { ...state, left: { ...state.left, moves: state.left.moves - 1 } };
    const told = apply(spent, { operation: stepDown(session.sid, session.inc, "draining"), meant: session.inc });
    out.push({ what: `${podUid(n)}: is told to drain`, next: changeProcess(told.next, n, { isDraining: true }), broken: told.broken });
    out.push({ what: `${podUid(n)}: is told to drain and cannot say so`, next: changeProcess(spent, n, { isDraining: true }) });
  } else if (process.isComplete && process.tenures.size === 0) {
    const { outcome, next, broken } = apply(state, { operation: stepDown(session.sid, session.inc, "gone"), meant: session.inc });
    const isRunning = state.pods[n as 0 | 1].container?.state === "running";
    const left = isRunning ? { invariant: "I3", why: `${podUid(n)} is gone, and the bot still runs there` } : broken;
    if (outcome === "won") out.push({ what: `${podUid(n)}: says good-bye`, next: lose(next, n), broken: left });
  }
}

/** A write whose winner and loser do the same. */
function write(state: State, n: number, operation: Operation, bounds: Bounds, out: Step[], then: (next: State) => State): void {
  const what = `${podUid(n)}: ${operation.op}`;
  const { outcome, next, broken } = apply(state, { operation });
  out.push({ what: `${what} ${outcome}`, next: then(next), broken });
  const lost = spend(next);
  if (lost !== undefined && outcome === "won") out.push({ what: `${what} ${outcome}, the reply is lost`, next: lost, broken });
  const under = delay(state, { operation }, bounds.late);
  if (under !== undefined) out.push({ what: `${what} is under way`, next: under });
}
