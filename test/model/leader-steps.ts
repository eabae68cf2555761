import { operationOf, planAssignment } from "../../src/core/assignment.ts";
import type { SessionId } from "../../src/core/ids.ts";
import { afterRevoking, type Ending, planEndings, type Watches } from "../../src/core/observation.ts";
import { type Operation, revokeSegment } from "../../src/core/operations.ts";
import type { Bounds } from "./bounds.ts";
import { type Leader, SEGMENT, type State, type Step, type Write } from "./state.ts";
import { apply, delay, spend, writeLease } from "./stores.ts";

/** What one of the two may do who believe that they lead, or who will. Nobody asks whether the belief is right. */
export function leaderSteps(state: State, n: 0 | 1, bounds: Bounds, out: Step[]): void {
  const { term, blind } = state.leaders[n];
  const who = `leader${n}`;
  if (term !== state.term && state.left.elections > 0) {
    const left = { ...state.left, elections: state.left.elections - 1 };
    out.push({
      what: `${who}: O7, leads with term ${state.term + 1}`,
      next: lead({ ...state, left, term: state.term + 1 }, n, { term: state.term + 1, blind }),
    });
  }
  if (term === undefined) return;
  const spent = spend(state);
  if (bounds.leases && blind === undefined && n === 0 && spent !== undefined)
    out.push({ what: `${who}: loses the API server`, next: lead(spent, n, { term, blind: state.watches }) });
  for (const ending of planEndings(blind ?? state.watches, state.now, bounds.timings)) endSteps(state, n, ending, bounds, out);
  assignSteps(state, who, term, bounds, out);
}

function lead(state: State, n: 0 | 1, leader: Leader): State {
  return { ...state, leaders: n === 0 ? [leader, state.leaders[1]] : [state.leaders[0], leader] };
}

function endSteps(state: State, n: 0 | 1, { sid, lease, record }: Ending, bounds: Bounds, out: Step[]): void {
  const who = `leader${n}`;
  if (lease === undefined) return writeSteps(state, who, { operation: record }, bounds, out);
  const marked = writeLease(state, lease);
  if (marked !== undefined) {
    const next = seen(marked.next, n, sid, marked.version);
    writeSteps(next, `${who}: marks the Lease of ${sid},`, { operation: record }, bounds, out);
    const lost = spend(marked.next);
    if (lost !== undefined) out.push({ what: `${who}: marks the Lease of ${sid}, the reply is lost`, next: lost });
  }
  const under = delay(state, { lease }, bounds.late);
  if (under !== undefined) out.push({ what: `${who}: the mark for the Lease of ${sid} is under way`, next: under });
}

/** Its own mark is no sign of life. */
function seen(state: State, n: 0 | 1, sid: SessionId, version: string): State {
  const { term, blind } = state.leaders[n];
  const after = (watches: Watches): Watches => afterRevoking(watches, sid, version);
  const next = { ...state, watches: after(state.watches) };
  return blind === undefined ? next : lead(next, n, { term, blind: after(blind) });
}

function assignSteps(state: State, who: string, term: number, bounds: Bounds, out: Step[]): void {
  const observed = { active: [SEGMENT], segments: [state.segment] };
  const planned = new Set<string>();
  // In both orders: among equals the plan takes the first, and the model either.
  for (const workers of [state.workers, state.workers.toReversed()])
    for (const step of planAssignment({ ...observed, workers })) {
      if (step.kind === "create" || (step.kind === "assign" && step.epoch >= bounds.epochs) || planned.has(JSON.stringify(step))) continue;
      planned.add(JSON.stringify(step));
      writeSteps(state, who, { operation: operationOf(step, term), meant: step.epoch }, bounds, out);
    }
  const { owner, epoch, state: held } = state.segment;
  if (owner === null || held !== "assigned" || state.left.moves === 0) return;
  const spent: State = { ...state, left: { ...state.left, moves: state.left.moves - 1 } };
  for (const { _id: target } of state.workers.filter((w) => w.state === "up" && w._id !== owner))
    writeSteps(spent, who, { operation: revokeSegment(SEGMENT, epoch, target, term), meant: epoch }, bounds, out);
}

/** A write whose reply tells its writer nothing that the next look would not. */
function writeSteps(state: State, who: string, write: Write, bounds: Bounds, out: Step[]): void {
  const { operation } = write;
  const { outcome, next, broken } = apply(state, write);
  const what = `${who} ${operation.op}${named(operation)}`;
  if (outcome === "won") out.push({ what, next, broken });
  const under = delay(state, write, bounds.late);
  if (under !== undefined) out.push({ what: `${what} is under way`, next: under });
}

function named({ set, id }: Operation): string {
  const [owner, target] = [set?.["owner"], set?.["target"]];
  const to = typeof owner === "string" ? ` to ${owner}` : typeof target === "string" ? ` for ${target}` : "";
  return typeof id === "string" ? ` ${id}` : to;
}
