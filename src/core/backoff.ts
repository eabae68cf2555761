/** First wait of a crashed bot. Source: issue of the walking skeleton; docker.md "Start storms". */
const CRASH_FIRST_MS = 1_000;
/** Longest wait of a crashed bot. */
export const CRASH_MAX_MS = 300_000;
/** A run of at least this long forgets earlier crashes. */
export const CRASH_RESET_MS = 600_000;

/** Wait before start number `attempt` (0 = after the first crash): doubles from 1 s to 5 min, less up to a quarter of
 *  jitter so that bots felled together do not come back together. `random` gives [0, 1). */
export function crashDelayMs(attempt: number, random: () => number): number {
  const full = Math.min(CRASH_MAX_MS, CRASH_FIRST_MS * 2 ** Math.min(attempt, 30));
  return Math.round(full * (1 - random() / 4));
}

/** Wait between tries of an adapter call: 0.2 s doubling to 30 s, half of it jitter. */
export function retryDelayMs(attempt: number, random: () => number): number {
  return Math.min(30_000, 200 * 2 ** Math.min(attempt, 20)) * (0.5 + random() / 2);
}

/** Share of each start after a take-over in the time over which they are spread, in ms: a rate that no Engine outruns, so
 *  that its slots stay full. Source: docker.md section 3, at most 32 starts/s. */
const SPREAD_PER_START_MS = 20;
const SPREAD_MAX_MS = 2_000;

/** Over how long so many starts are spread that become due at once: one alone does not wait. */
export function startSpreadMs(starts: number): number {
  return Math.min(SPREAD_MAX_MS, SPREAD_PER_START_MS * Math.max(0, starts - 1));
}
