import { judgeLease, type LeaseWrite, renewLease } from "../../src/core/lease.ts";
import { afterLeaseRenewal, isLeaseDue, type Session } from "../../src/core/session.ts";
import type { Bounds } from "./bounds.ts";
import { settle } from "./session-steps.ts";
import { changeProcess, podUid, type Process, type State, type Step } from "./state.ts";
import { delay, spend, writeLease } from "./stores.ts";

const INCARNATION = "life";

/** O1': the first write, and one after a conflict, look before. */
export function leaseSteps(state: State, n: number, process: Process, session: Session, bounds: Bounds, out: Step[]): void {
  if (state.leases === "none" || !isLeaseDue(session, state.now, bounds.timings)) return;
  const { knowsLease, leaseVersion } = process;
  const found = state.leases.get(session.sid);
  const knows = { knowsLease: true, leaseVersion: found?.version };
  const judged = found === undefined && !knowsLease ? "mine" : judgeLease(found, { inc: session.inc, incarnation: INCARNATION });
  const isCurrent = knowsLease && found?.version === leaseVersion;
  if (!isCurrent && judged !== "mine") {
    const next = changeProcess(state, n, { ...knows, session: afterLeaseRenewal(session, state.now, judged) });
    out.push({ what: `${podUid(n)}: O1' finds its Lease ${judged}`, next: settle(next, n, bounds) });
    return;
  }
  const mine = { sid: session.sid, inc: session.inc, incarnation: INCARNATION };
  putSteps(changeProcess(state, n, knows), n, session, renewLease(mine, found?.version), bounds, out);
}

function putSteps(state: State, n: number, session: Session, lease: LeaseWrite, bounds: Bounds, out: Step[]): void {
  const what = `${podUid(n)}: O1'`;
  const sentAt = state.now;
  const written = writeLease(state, lease);
  if (written === undefined) return;
  const { next, version } = written;
  out.push({ what, next: afterPut(next, n, session, sentAt, version, bounds) });
  const spent = spend(next);
  if (spent !== undefined) {
    out.push({ what: `${what}, the reply is lost`, next: spent });
    if (state.pods[n as 0 | 1].process?.answer === undefined)
      out.push({ what: `${what}, the reply is under way`, next: changeProcess(spent, n, { answer: { kind: "O1'", version, sentAt } }) });
  }
  const under = delay(state, { lease }, bounds.late);
  if (under !== undefined) out.push({ what: `${what} is under way`, next: under });
}

/** The reply to O1' comes. */
export function afterPut(state: State, n: number, session: Session, sentAt: State["now"], version: string, bounds: Bounds): State {
  const renewed = afterLeaseRenewal(session, sentAt, "renewed");
  return settle(changeProcess(state, n, { session: renewed, leaseVersion: version }), n, bounds);
}
