/** The protocol's timings, in ms. Source: ownership.md "Timing". */
export type Timings = {
  /** H: between two renewals. */
  readonly renewMs: number;
  /** How long one renewal call may take. */
  readonly callMs: number;
  /** S: without a renewal for so long no bot is started. */
  readonly softMs: number;
  /** R: without a renewal for so long the worker stops its bots by itself. */
  readonly stopMs: number;
  /** W: without a renewal for so long the fence kills them. */
  readonly fenceMs: number;
  /** K: the longest that a kill by the fence may take, its poll included. */
  readonly killMs: number;
  /** L: the leader ends a session whose counters it has seen unchanged for so long. */
  readonly endMs: number;
};

/** rho: the largest difference between the rates of two clocks that we bear. */
const DRIFT = 0.05;
/** Share of the renewal interval that one renewal call may take. */
const CALL_SHARE = 0.8;

/** Two stores keep a session alive: MongoDB's elections are survived by the other one, so W may be short. */
export const KUBERNETES_TIMINGS: Timings = withCall({
  renewMs: 1_000,
  softMs: 3_000,
  stopMs: 5_000,
  fenceMs: 7_000,
  killMs: 1_500,
  endMs: 10_000,
});
/** One store: W must outlast an election of 10 to 12 s. */
export const MONGO_TIMINGS: Timings = { ...KUBERNETES_TIMINGS, stopMs: 13_000, fenceMs: 15_000, endMs: 20_000 };

export function withCall(timings: Omit<Timings, "callMs">): Timings {
  return { ...timings, callMs: timings.renewMs * CALL_SHARE };
}

/** The timings as they are configured, in seconds. */
export function timingsOf(config: {
  readonly renewSeconds: number;
  readonly softSeconds: number;
  readonly stopSeconds: number;
  readonly fenceSeconds: number;
  readonly killSeconds: number;
  readonly sessionEndSeconds: number;
}): Timings {
  return withCall({
    renewMs: config.renewSeconds * 1_000,
    softMs: config.softSeconds * 1_000,
    stopMs: config.stopSeconds * 1_000,
    fenceMs: config.fenceSeconds * 1_000,
    killMs: config.killSeconds * 1_000,
    endMs: config.sessionEndSeconds * 1_000,
  });
}

/** The least that L may be: the worker's clock may be the slow one and the leader's the fast one. Source: L(1-rho) > (W+K)(1+rho). */
export function leastEndMs({ fenceMs, killMs }: Pick<Timings, "fenceMs" | "killMs">): number {
  return ((fenceMs + killMs) * (1 + DRIFT)) / (1 - DRIFT);
}

/** One inequality of the protocol: `name` must be over `least`. */
export type TimingRule = {
  readonly name: "softMs" | "stopMs" | "fenceMs" | "endMs";
  readonly least: number;
  readonly why: "renew+call" | "soft" | "stop" | "fence+kill";
};

/** H + time-out < S < R < W and L(1-rho) > (W+K)(1+rho), each with the number it asks for. */
function timingRules(t: Timings): readonly TimingRule[] {
  return [
    { name: "softMs", least: t.renewMs + t.callMs, why: "renew+call" },
    { name: "stopMs", least: t.softMs, why: "soft" },
    { name: "fenceMs", least: t.stopMs, why: "stop" },
    { name: "endMs", least: leastEndMs(t), why: "fence+kill" },
  ];
}

/** What is wrong with these timings; empty when the protocol's proof holds for them. */
export function brokenTimings(t: Timings): readonly TimingRule[] {
  return timingRules(t).filter(({ name, least }) => t[name] <= least);
}
