// What the runs of beacons say about the two promises. Pure: times are CLOCK_BOOTTIME in ms, taken by the bots themselves
// on one kernel, so intervals of different daemons compare exactly.
import type { Run } from "./runs.ts";

/** A stretch of time, both ends included. */
export type Interval = { readonly from: number; readonly to: number };

/** Two lives of one bot at the same time. */
export type Duplicate = Interval & { readonly bot: string; readonly runs: readonly [Run, Run] };

/** Nothing of a bot ran between two of its lives. */
export type Unrun = Interval & { readonly bot: string };

/** What one occurrence of a fault did. */
export type Effect = {
  readonly bots: number;
  /** Sum over all bots; exact but for one sending interval at each end, by which it may be too small. */
  readonly duplicateMs: number;
  /** Of the bot that ran twice for the longest. */
  readonly worstDuplicateMs: number;
  /** Per bot, longest first: its longest stretch without a run. 0 for a bot that went on. */
  readonly unrunMs: readonly number[];
  /** New lives that began inside the window. */
  readonly restarts: number;
  /** Longest silence inside a life: nothing shorter can be told apart from a pause. At least one sending interval. */
  readonly resolutionMs: number;
  /** Bots of which nothing ran when the window closed. */
  readonly silent: readonly string[];
};

function byBot(runs: Iterable<Run>): Map<string, Run[]> {
  const all = new Map<string, Run[]>();
  for (const run of runs) {
    const mine = all.get(run.bot);
    if (mine === undefined) all.set(run.bot, [run]);
    else mine.push(run);
  }
  for (const mine of all.values()) mine.sort((a, b) => a.first - b.first || a.last - b.last);
  return all;
}

/** Every pair of lives of one bot that overlap, even in one instant. */
export function findDuplicates(runs: Iterable<Run>): Duplicate[] {
  const found: Duplicate[] = [];
  for (const [bot, mine] of byBot(runs)) {
    for (const [index, a] of mine.entries()) {
      for (let other = index + 1; other < mine.length; other++) {
        const b = mine[other];
        // Sorted by start: what begins after this end begins after it for all that follow.
        if (b === undefined || b.first > a.last) break;
        found.push({ bot, from: b.first, to: Math.min(a.last, b.last), runs: [a, b] });
      }
    }
  }
  return found;
}

/** The stretches of time, within the window, in which no life of the bot runs; those without a first or last life count too. */
export function findUnrun(runs: Iterable<Run>, bots: Iterable<string>, { from, to }: Interval): Unrun[] {
  const lives = byBot(runs);
  const found: Unrun[] = [];
  for (const bot of bots) {
    let ran = from;
    for (const { first, last } of lives.get(bot) ?? []) {
      if (first > to) break;
      if (first > ran) found.push({ bot, from: ran, to: first });
      ran = Math.max(ran, last);
    }
    if (ran < to) found.push({ bot, from: ran, to });
  }
  return found;
}

/** What happened to these bots in the window. `everyMs`: how often a beacon sends, `graceMs`: how much silence at the window's
 *  end still counts as running, because the next datagram is only on its way. */
export function measureEffect(
  runs: readonly Run[],
  bots: readonly string[],
  window: Interval,
  { everyMs, graceMs = 5 * everyMs }: { readonly everyMs: number; readonly graceMs?: number },
): Effect {
  const wanted = new Set(bots);
  const mine = runs.filter((run) => wanted.has(run.bot) && run.last >= window.from && run.first <= window.to);
  const longest = new Map(bots.map((bot) => [bot, 0]));
  const silent: string[] = [];
  for (const { bot, from, to } of findUnrun(mine, bots, window)) {
    const isOpen = to === window.to;
    const length = to - from;
    // A gap of one sending interval at an edge of the window is no gap.
    if (length <= (isOpen || from === window.from ? graceMs : 0)) continue;
    if (isOpen) silent.push(bot);
    longest.set(bot, Math.max(longest.get(bot) ?? 0, length));
  }
  const duplicates = new Map<string, number>();
  for (const { bot, from, to } of findDuplicates(mine)) duplicates.set(bot, (duplicates.get(bot) ?? 0) + overlapMs(from, to, window));
  return {
    bots: bots.length,
    duplicateMs: sum([...duplicates.values()]),
    worstDuplicateMs: Math.max(0, ...duplicates.values()),
    unrunMs: [...longest.values()].toSorted((a, b) => b - a),
    restarts: mine.filter((run) => run.first > window.from).length,
    resolutionMs: Math.max(everyMs, ...mine.map((run) => run.maxGap)),
    silent,
  };
}

// An overlap of one instant is a duplicate as well: it must not come to 0.
const overlapMs = (from: number, to: number, window: Interval): number =>
  Math.max(Math.min(to, window.to) - Math.max(from, window.from), to >= window.from && from <= window.to ? 0.001 : 0);

const sum = (numbers: readonly number[]): number => numbers.reduce((total, n) => total + n, 0);

/** The value that a share of the values does not exceed (nearest rank). @throws {RangeError} for none */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  if (value === undefined) throw new RangeError("Cannot take a quantile of no values");
  return value;
}
