import { after as later, type MonoMs } from "../../src/core/clock.ts";
import type { Container } from "../../src/core/containers.ts";
import { isLapsed } from "../../src/core/fence.ts";
import type { ContainerId } from "../../src/core/ids.ts";
import { reportStatus } from "../../src/core/operations.ts";
import { fields } from "../contract/operation-cases.ts";
import { aContainer } from "../support/builders.ts";
import type { Bounds } from "./bounds.ts";
import {
  type Answer,
  BOOT_ID,
  BOT,
  type Broken,
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

const RUN_STATUS = fields();

const lapsed = ({ fence }: Pod, now: MonoMs): boolean => isLapsed(fence, { now, lastNow: now, bootId: BOOT_ID });

/** One pod's dockerd, its fence, and the calls in its hands. */
export function dockerSteps(state: State, n: number, bounds: Bounds, out: Step[]): void {
  const pod = state.pods[n as 0 | 1];
  if (pod.isLost) return;
  const who = podUid(n);
  if (pod.isDockerUp && lapsed(pod, state.now)) {
    out.push({ what: `${who}: the fence kills dockerd`, next: killed(state, n, pod) });
  }
  if (!pod.isDockerUp && !lapsed(pod, state.now))
    out.push({ what: `${who}: dockerd comes up`, next: change(state, n, { isDockerUp: true }) });
  if (pod.isDockerUp && pod.lateStart !== undefined) {
    const { next, broken } = start(change(state, n, { lateStart: undefined }), n, pod.lateStart);
    out.push({ what: `${who}: a start that nobody waits for lands`, next, broken });
  }
  const call = pod.process?.call;
  if (call !== undefined) callSteps(state, n, call, bounds, out);
}

/** The create or start of a living process stays: it may not have been sent yet. What was in dockerd's hands is gone. */
function killed(state: State, n: number, { container, process }: Pod): State {
  const next = change(state, n, { isDockerUp: false, container: container && ended(container), lateStart: undefined });
  const isPast = process?.call?.kind === "stop" || process?.call?.kind === "remove";
  return isPast ? changeProcess(next, n, { call: undefined, isDoubtful: true }) : next;
}

function callSteps(state: State, n: number, call: Call, bounds: Bounds, out: Step[]): void {
  const what = `${podUid(n)}: ${call.kind} (epoch ${call.epoch})`;
  const unknown = (to: State): State => changeProcess(to, n, { call: undefined, isDoubtful: true });
  if (!state.pods[n as 0 | 1].isDockerUp) {
    out.push({ what: `${what} fails`, next: unknown(state) });
    return;
  }
  const { next, broken, made } = act(state, n, call);
  const answered = changeProcess(next, n, { call: undefined });
  if (made !== undefined)
    out.push({ what: `${what} lands`, next: changeProcess(next, n, { call: { kind: "start", id: made, epoch: call.epoch } }), broken });
  else if (call.kind === "start") reported(answered, n, call.epoch, `${what} lands`, broken, bounds, out);
  else out.push({ what: `${what} lands`, next: answered, broken });
  const spent = spend(next);
  if (spent !== undefined) out.push({ what: `${what} lands, its reply is lost`, next: unknown(spent), broken });
  const given = spend(state);
  if (given !== undefined && call.kind === "start" && state.pods[n as 0 | 1].container?.id === call.id)
    out.push({ what: `${what} takes too long and is given up`, next: unknown(change(given, n, { lateStart: call.id })) });
}

/** O6 after a start, which may land late. */
function reported(
  state: State,
  n: number,
  epoch: Call["epoch"],
  what: string,
  broken: Broken | undefined,
  bounds: Bounds,
  out: Step[],
): void {
  const sid = state.pods[n as 0 | 1].process?.session?.sid;
  if (sid === undefined) return void out.push({ what, next: state, broken });
  const operation = reportStatus(BOT, epoch, sid, RUN_STATUS);
  const report = apply(state, { operation });
  out.push({ what, next: report.next, broken: broken ?? report.broken });
  const under = delay(state, { operation }, bounds.late);
  if (under !== undefined) out.push({ what: `${what}, O6 is under way`, next: under, broken });
}

type Acted = { readonly next: State; readonly broken?: Broken | undefined; readonly made?: ContainerId };

function act(state: State, n: number, call: Call): Acted {
  const pod = state.pods[n as 0 | 1];
  if (call.kind === "create") {
    if (pod.container !== undefined) return { next: state }; // the name is taken: the next look decides
    const id = `${n}#${pod.made + 1}` as ContainerId;
    const container = aContainer({ id, bot: BOT, segment: SEGMENT, epoch: call.epoch, sid: call.sid, spec: SPEC_HASH, state: "created" });
    return { next: change(state, n, { container, made: pod.made + 1 }), made: id };
  }
  if (call.kind === "start") return start(state, n, call.id);
  if (pod.container?.id !== call.id) return { next: state };
  if (call.kind === "stop") return { next: change(state, n, { container: ended(pod.container) }) };
  return { next: change(state, n, { container: undefined, lateStart: undefined }) };
}

/** Docker starts what exists, whether it is new or has ended; what was removed it does not know. */
function start(state: State, n: number, id: ContainerId): Acted {
  const { container } = state.pods[n as 0 | 1];
  if (container?.id !== id || container.state === "running") return { next: state };
  return { next: change(state, n, { container: { ...container, state: "running" } }), broken: judgeStart(state, n, container) };
}

function judgeStart({ pods, segment, givenUp }: State, n: number, { epoch, sid }: Container): Broken | undefined {
  if (pods[n === 0 ? 1 : 0].container?.state === "running") return { invariant: "I1", why: "the bot runs twice" };
  if (epoch <= givenUp) return { invariant: "I3", why: `the bot starts under epoch ${epoch}, which was given up` };
  const isForeign = epoch === segment.epoch && segment.owner !== null && segment.owner !== sid;
  return isForeign ? { invariant: "I2", why: `the bot starts for ${sid} under epoch ${epoch} of ${segment.owner}` } : undefined;
}

const ended = (container: Container): Container => (container.state === "running" ? { ...container, state: "exited" } : container);

/** Time goes on. It waits for the fence, which kills within K. */
export function tick(state: State, { timings, horizon }: Bounds): State | undefined {
  if (state.now >= horizon) return undefined;
  for (const pod of state.pods) {
    const { isDockerUp, fence, isLost } = pod;
    if (!isLost && isDockerUp && fence !== undefined && fence.deadline + timings.killMs <= state.now && lapsed(pod, state.now))
      return undefined;
  }
  let next: State = { ...state, now: later(state.now, timings.renewMs) };
  for (const n of [0, 1] as const) {
    const { process } = state.pods[n];
    if (process?.answer === undefined || !isOverdue(process, process.answer, state.now, timings.fenceMs)) continue;
    next = process.session === undefined ? change(next, n, { process: undefined }) : changeProcess(next, n, { answer: undefined });
  }
  return next;
}

/** A process that runs gives a call up after its time-out; one that is stopped finds the reply when it wakes, and then it
 *  may be too old to tell anything. */
function isOverdue({ isSilent, session }: Process, answer: Answer, now: MonoMs, fenceMs: number): boolean {
  if (session === undefined || answer.kind === "poll") return answer.kind === "O0" && answer.sentAt < now;
  const proven = answer.kind === "O1'" ? session.lease.provenAt : session.store.provenAt;
  return now - answer.sentAt >= (isSilent ? fenceMs : 1) || (proven !== undefined && answer.sentAt < proven);
}
