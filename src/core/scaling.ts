import type { MonoMs } from "./clock.ts";

/** What the operator allows; in a cluster the watched ConfigMap may change it at any time. */
export type ScalingBounds = {
  readonly min: number;
  readonly max: number;
  /** Idle workers beyond what is needed. */
  readonly standby: number;
  readonly cooldownMs: number;
};

export type Demand = {
  /** Active segments. */
  readonly active: number;
  /** Pods that are lost while the Deployment still counts them. */
  readonly lost: number;
};

/** The replicas that the fleet should have: one worker per active segment, the leader, and what stands by or is lost.
 *  MAX wins over all else. */
export function desiredReplicas({ active, lost }: Demand, { min, max, standby }: ScalingBounds): number {
  return Math.min(max, Math.max(min, active + 1 + standby + lost));
}

export type ScalingObserved = Demand & {
  readonly bounds: ScalingBounds;
  /** `spec.replicas` as it stands. */
  readonly replicas: number;
  /** Living workers other than the leader that own a segment or are about to. */
  readonly busy: number;
  /** The Deployment replaces its pods. */
  readonly rollout: boolean;
  /** Somebody else owns `spec.replicas`. */
  readonly foreign: boolean;
};

/** What the scaler remembers: since when fewer would do than these replicas, and the most that was needed meanwhile. */
export type ScalingState = { readonly low?: { readonly since: MonoMs; readonly replicas: number; readonly peak: number } };

export type ScalingDecision =
  | { readonly kind: "scale"; readonly from: number; readonly to: number; readonly why: "segments" | "minimum" | "idle" | "maximum" }
  | { readonly kind: "hold"; readonly why: "cooldown"; readonly leftMs: number }
  /** `steady`: as many as there should be. `assigned`: fewer would do, but segments are still with the others. `foreign`: one
   *  writer only, so it is left to the other one, and to a person. */
  | { readonly kind: "hold"; readonly why: "steady" | "rollout" | "assigned" | "foreign"; readonly leftMs?: undefined };

/** Decides about `spec.replicas`: up at once and straight to the target; down when fewer would have done for the whole
 *  cooldown, and then to the most that was needed in it; never during a rollout, never below what is assigned, except that
 *  MAX wins: then busy workers have to be drained first. A write that fails needs no word to us: the replicas we see next
 *  tell, and a window of another count is not continued. */
export function decideScaling(
  state: ScalingState,
  observed: ScalingObserved,
  now: MonoMs,
): { readonly state: ScalingState; readonly decision: ScalingDecision } {
  const { bounds, replicas, busy, rollout, foreign, active, lost } = observed;
  const target = desiredReplicas(observed, bounds);
  if (foreign) return { state: {}, decision: { kind: "hold", why: "foreign" } };
  if (target === replicas) return { state: {}, decision: { kind: "hold", why: "steady" } };
  if (target > replicas) {
    const why = active + 1 + bounds.standby + lost > replicas ? "segments" : "minimum";
    return { state: {}, decision: { kind: "scale", from: replicas, to: target, why } };
  }

  const past = state.low?.replicas === replicas ? state.low : { since: now, replicas, peak: target };
  const low = { ...past, peak: Math.max(past.peak, target) };
  const leftMs = low.since + bounds.cooldownMs - now;
  const to = Math.min(bounds.max, Math.max(low.peak, busy + 1));
  const decision: ScalingDecision = rollout
    ? { kind: "hold", why: "rollout" }
    : leftMs > 0
      ? { kind: "hold", why: "cooldown", leftMs }
      : to >= replicas
        ? { kind: "hold", why: "assigned" }
        : { kind: "scale", from: replicas, to, why: replicas > bounds.max ? "maximum" : "idle" };
  return { state: { low }, decision };
}
