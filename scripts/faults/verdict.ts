// Whether a measured case passes. Noise of the machine may excuse a missed bound, never a duplicate.

/** A case is excused only if timers were this late, in ms. Source: the noise rule of the fault rig. */
export const LAG_LIMIT_MS = 250;
/** More than one starved case in so many says that the machine cannot carry the measurement. */
const CASES_PER_STARVED = 10;

export type Verdict = "pass" | "fail" | "starved";

export type Case = {
  readonly duplicateMs: number;
  readonly unrunMs: number;
  readonly boundMs: number;
  /** p99 of the lag of 20 ms timers in a process of its own, over the case. */
  readonly lagP99Ms: number;
  /** What else must hold for the row and does not; noise excuses none of it. */
  readonly faults?: readonly string[];
};

export function judgeCase({ duplicateMs, unrunMs, boundMs, lagP99Ms, faults = [] }: Case): Verdict {
  if (duplicateMs > 0 || faults.length > 0) return "fail";
  if (unrunMs <= boundMs) return "pass";
  return lagP99Ms < LAG_LIMIT_MS ? "fail" : "starved";
}

/** A case whose bots have several bounds passes only if all of them were kept. */
export function worstOf(...verdicts: readonly Verdict[]): Verdict {
  return verdicts.find((v) => v === "fail") ?? verdicts.find((v) => v === "starved") ?? "pass";
}

export type Tally = { readonly verdict: "pass" | "fail"; readonly cases: number; readonly starved: number; readonly failed: number };

/** All cases of a run, repeats included: one failure fails it, and so do too many starved cases. */
export function tally(verdicts: readonly Verdict[]): Tally {
  const starved = verdicts.filter((v) => v === "starved").length;
  const failed = verdicts.filter((v) => v === "fail").length;
  const tooMany = starved > Math.max(1, Math.floor(verdicts.length / CASES_PER_STARVED));
  return { verdict: failed > 0 || tooMany ? "fail" : "pass", cases: verdicts.length, starved, failed };
}

/** A case, and its repeat where it was starved. There is no other repeat. */
export async function repeatStarved<T extends { readonly verdict: Verdict }>(first: T, again: () => Promise<readonly T[]>): Promise<T[]> {
  return first.verdict === "starved" ? [first, ...(await again())] : [first];
}
