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
