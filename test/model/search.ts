import { observeSessions } from "../../src/core/observation.ts";
import type { Bounds } from "./bounds.ts";
import { dockerSteps, tick } from "./docker-steps.ts";
import { keyOf } from "./key.ts";
import { leaderSteps } from "./leader-steps.ts";
import { type Broken, initialState, type State, type Step } from "./state.ts";
import { forget, land } from "./stores.ts";
import { dueSteps, workerSteps } from "./worker-steps.ts";

/** Everything that may happen next, time aside. */
function stepsFrom(state: State, bounds: Bounds): Step[] {
  const out: Step[] = [];
  for (const n of [0, 1] as const) {
    dockerSteps(state, n, bounds, out);
    workerSteps(state, n, bounds, out);
  }
  for (const n of [0, 1] as const) leaderSteps(state, n, bounds, out);
  for (const late of state.late)
    out.push({ what: `late: ${"lease" in late ? `${late.lease.op} (Lease)` : late.operation.op} lands`, ...land(state, late) });
  return out.map((step) => finish(state, step));
}

/** The next tick, which begins with the renewals of all processes that nothing ails. Nothing else touches the record of such
 *  a session, so no order of events is lost. */
function ticksFrom(state: State, bounds: Bounds): Step[] {
  const later = tick(state, bounds);
  let steps: Step[] = later === undefined ? [] : [{ what: "", next: later }];
  for (const n of [0, 1] as const)
    steps = steps.flatMap((before) => {
      const out: Step[] = [];
      if (before.broken === undefined) dueSteps(before.next, n, bounds, out);
      if (out.length === 0) return [before];
      return out.map((step) => ({ ...finish(before.next, step), what: `${before.what}${before.what === "" ? "" : "; "}${step.what}` }));
    });
  return steps;
}

function finish(state: State, step: Step): Step {
  const { next } = step;
  const isSeen = next.workers === state.workers && next.leases === state.leases;
  if (isSeen && next.late.length === 0) return step;
  return { ...step, next: forget(isSeen ? next : watched(next)) };
}

/** Somebody always looks. One who has lost the API server looks at MongoDB only. */
function watched(state: State): State {
  const { workers, leases, now, leaders } = state;
  const looks = leaders.map((leader) =>
    leader.blind === undefined ? leader : { ...leader, blind: observeSessions(leader.blind, workers, "unread", now) },
  ) as [State["leaders"][0], State["leaders"][1]];
  return { ...state, watches: observeSessions(state.watches, workers, leases, now), leaders: looks };
}

export type Found = {
  readonly states: number;
  readonly transitions: number;
  /** Steps of the longest of all shortest ways to a state. */
  readonly depth: number;
  /** False: not all states within the bounds were seen. */
  readonly isWhole: boolean;
  readonly broken?: { readonly how: Broken; readonly trace: readonly Moment[] };
};
type Moment = { readonly at: number; readonly what: string };

/** Breadth first, tick by tick: a state is met as early as it can be, so whoever comes to it later has less to show. */
export function search(bounds: Bounds, most = Infinity, onTick: (at: number, states: number) => void = () => {}): Found {
  const seen = new Set<string>();
  const parents: number[] = [];
  const ordinals: number[] = [];
  const depths: number[] = [];
  let transitions = 0;
  let depth = 0;
  const meet = (next: State, parent: number, ordinal: number): number | undefined => {
    const key = keyOf(next, bounds.timings);
    if (seen.has(key)) return undefined;
    seen.add(key);
    parents.push(parent);
    ordinals.push(ordinal);
    depths.push(parent < 0 ? 0 : (depths[parent] ?? 0) + 1);
    depth = Math.max(depth, depths.at(-1) ?? 0);
    return parents.length - 1;
  };
  const breach = (how: Broken, id: number, ordinal: number): Found => {
    const trace = retrace(bounds, [...wayTo(id, parents, ordinals), ordinal]);
    return { states: seen.size, transitions, depth: trace.length, isWhole: false, broken: { how, trace } };
  };
  const first = initialState(bounds);
  let layer: { state: State; id: number }[] = [{ state: first, id: meet(first, -1, 0) ?? 0 }];
  while (layer.length > 0) {
    onTick(layer[0]?.state.now ?? 0, seen.size);
    // The layer grows while it is read: what happens within one tick belongs to it.
    for (const { state, id } of layer) {
      if (seen.size > most) return { states: seen.size, transitions, depth, isWhole: false };
      let ordinal = 0;
      for (const { next, broken } of stepsFrom(state, bounds)) {
        transitions += 1;
        if (broken !== undefined) return breach(broken, id, ordinal);
        const met = meet(next, id, ordinal);
        if (met !== undefined) layer.push({ state: next, id: met });
        ordinal += 1;
      }
    }
    const later: typeof layer = [];
    for (const { state, id } of layer) {
      let ordinal = TICK;
      for (const { next, broken } of ticksFrom(state, bounds)) {
        transitions += 1;
        if (broken !== undefined) return breach(broken, id, ordinal);
        const met = meet(next, id, ordinal);
        if (met !== undefined) later.push({ state: next, id: met });
        ordinal -= 1;
      }
    }
    layer = later;
  }
  return { states: seen.size, transitions, depth, isWhole: true };
}

/** Ways through time have numbers of their own, from here downwards. */
const TICK = -1;

function wayTo(id: number, parents: readonly number[], ordinals: readonly number[]): number[] {
  const way: number[] = [];
  for (let at = id; at > 0; at = parents[at] ?? 0) way.push(ordinals[at] ?? 0);
  return way.toReversed();
}

/** Only numbers of steps were kept: they are taken once more, and told. */
function retrace(bounds: Bounds, way: readonly number[]): Moment[] {
  const trace: Moment[] = [];
  let state = initialState(bounds);
  for (const ordinal of way) {
    const step = ordinal <= TICK ? ticksFrom(state, bounds)[TICK - ordinal] : stepsFrom(state, bounds)[ordinal];
    if (step === undefined) throw new RangeError("Cannot retrace a way: the steps are not the same the second time");
    state = step.next;
    trace.push({ at: state.now, what: step.what });
  }
  return trace;
}
