import type { Observed } from "./assignment.ts";
import type { SegmentId, SessionId } from "./ids.ts";
import { isLiving } from "./session.ts";

/** Values of `controller.kubernetes.io/pod-deletion-cost` (int32); a pod without one counts as 0. A ReplicaSet deletes the
 *  lowest first, but unready pods before ready ones, whatever they cost. */
const COST = { leader: 10_000, busy: 1_000, idle: -1_000, victim: -10_000 } as const;

export type VictimPlan = {
  /** Sessions to drain before the fleet shrinks, the first to go first. */
  readonly victims: readonly SessionId[];
  /** The deletion cost of each living session's pod. */
  readonly costs: ReadonlyMap<SessionId, number>;
};

/** How many sessions go when the fleet shrinks to `to` pods. A pod without one is not ready, and those a ReplicaSet takes first. */
export function surplusOf({ workers }: Pick<Observed, "workers">, to: number): number {
  return Math.max(0, workers.filter(({ state }) => isLiving(state)).length - to);
}

/** Decides who goes when the fleet shrinks by `count`: what drains already, then the idle, then those with the fewest
 *  segments, of the oldest generation first; the leader never before another. A worker that a segment is on its way to counts as busy. */
export function planVictims({ active, segments, workers, leader, generations }: Observed, count: number): VictimPlan {
  const wanted = new Set<SegmentId>(active);
  const load = new Map<SessionId, number>();
  const add = (sid: SessionId | null): void => void (sid !== null && load.set(sid, (load.get(sid) ?? 0) + 1));
  for (const { _id, owner, target } of segments) {
    add(owner);
    if (wanted.has(_id) && target !== owner) add(target);
  }

  const order = workers
    .filter(({ state }) => isLiving(state))
    .map(({ _id: sid, state }) => ({
      sid,
      leads: Number(sid === leader),
      stays: Number(state !== "draining"),
      load: load.get(sid) ?? 0,
      generation: generations?.get(sid) ?? 0,
    }))
    .sort((a, b) => a.leads - b.leads || a.stays - b.stays || a.load - b.load || a.generation - b.generation);
  const costs = new Map(
    order.map(({ sid, leads, load }, i): [SessionId, number] => [
      sid,
      i < count ? COST.victim : leads === 1 ? COST.leader : load > 0 ? COST.busy : COST.idle,
    ]),
  );
  return { victims: order.slice(0, Math.max(0, count)).map(({ sid }) => sid), costs };
}
