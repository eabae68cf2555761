import type { SessionId } from "../../src/core/ids.ts";
import { continueSession } from "../../src/core/operations.ts";
import { planRegistration } from "../../src/core/registration.ts";
import { fenceDeadline, openSession } from "../../src/core/session.ts";
import { aWorker } from "../support/builders.ts";
import type { Bounds } from "./bounds.ts";
import { BOOT_ID, change, NEW_PROCESS, type Pod, podUid, type State, type Step } from "./state.ts";
import { apply, delay, spend } from "./stores.ts";

/** O0: how a process comes by its session. */
export function bootSteps(state: State, n: number, { process, isDockerUp }: Pod, bounds: Bounds, out: Step[]): void {
  const { answer, opening } = process ?? {};
  if (answer?.kind === "O0") {
    const session = openSession(answer.sid, answer.inc, answer.sentAt);
    out.push({
      what: `${podUid(n)}: the reply to O0 comes`,
      next: settle(change(state, n, { process: { ...NEW_PROCESS, session, triedAt: state.now } }), n, bounds),
    });
  } else if (opening !== undefined) {
    if (!isDockerUp) insertSteps(state, n, opening, bounds, out);
  } else continueOrOpen(state, n, bounds, out);
}

function continueOrOpen(state: State, n: number, bounds: Bounds, out: Step[]): void {
  const plan = planRegistration(podUid(n), state.workers);
  if (plan.kind === "open") {
    // A lapsed deadline: what an earlier life has left is killed before the new one begins.
    const fence = { deadline: state.now, reading: state.now, bootId: BOOT_ID };
    const next = change(state, n, { fence, process: { ...NEW_PROCESS, opening: plan.sid } });
    out.push({ what: `${podUid(n)}: a process starts, wants a fresh dockerd for ${plan.sid}`, next });
    return;
  }
  const { _id: sid, inc } = plan.record;
  const write = { operation: continueSession(sid, inc), meant: inc + 1 };
  const { outcome, next, broken } = apply(state, write);
  if (outcome === "won") beginSteps(next, n, { sid, inc: inc + 1 }, `${podUid(n)}: a process starts, O0 ${sid}`, broken, bounds, out);
  const under = delay(state, write, bounds.late);
  if (under !== undefined) out.push({ what: `${podUid(n)}: a process starts, O0 is under way`, next: under });
}

function insertSteps(state: State, n: number, sid: SessionId, bounds: Bounds, out: Step[]): void {
  if (state.workers.some((w) => w._id === sid)) return;
  const next: State = { ...state, workers: [...state.workers, aWorker(sid, { fenceMs: bounds.timings.fenceMs })] };
  beginSteps(next, n, { sid, inc: 1 }, `${podUid(n)}: O0 inserts ${sid}`, undefined, bounds, out);
}

type Opened = { readonly sid: SessionId; readonly inc: number };

/** O0 has landed; its reply comes now, later, or never. */
function beginSteps(next: State, n: number, opened: Opened, what: string, broken: Step["broken"], bounds: Bounds, out: Step[]): void {
  const { sid, inc } = opened;
  const sentAt = next.now;
  const session = openSession(sid, inc, sentAt);
  out.push({ what, next: settle(change(next, n, { process: { ...NEW_PROCESS, session, triedAt: sentAt } }), n, bounds), broken });
  const spent = spend(next);
  if (spent === undefined) return;
  out.push({ what: `${what}, the reply is lost`, next: change(spent, n, { process: undefined }), broken });
  const answer = { kind: "O0", ...opened, sentAt } as const;
  out.push({ what: `${what}, the reply is under way`, next: change(spent, n, { process: { ...NEW_PROCESS, answer } }), broken });
}

/** The fence is told how far the session reaches. */
export function settle(state: State, n: number, { timings }: Bounds): State {
  const { process, fence } = state.pods[n as 0 | 1];
  // It stops what it runs and exits, which need not be played: the fence does as much. But what it has in hand goes on.
  if (process?.session?.lost !== undefined && process.call === undefined) return change(state, n, { process: undefined });
  const deadline = process?.session === undefined ? undefined : fenceDeadline(process.session, timings);
  if (deadline === undefined || (fence !== undefined && fence.deadline >= deadline)) return state;
  return change(state, n, { fence: { deadline, reading: state.now, bootId: BOOT_ID } });
}
