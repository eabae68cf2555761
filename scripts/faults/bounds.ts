// How long a bot may be unrun, computed from the protocol's timings. Source: ownership.md "Faults and bounds"; with one store,
// which is what is meant unless other timings are given, L is longer, and all else follows.
import { MONGO_TIMINGS, type Timings } from "../../src/core/timings.ts";

export type Profile = "default" | "ci";

/** What a start takes beside its queue, in ms. Source: ownership.md "Faults and bounds". */
const START_MS = 400;
/** The worker polls its segments, and the leader acts on what it sees, within a second each. */
const POLL_MS = 1_000;
/** Starts that a worker makes at the same time: the default of START_CONCURRENCY. */
const START_CONCURRENCY = 4;

export type Bounds = {
  readonly timings: Timings;
  /** Everything in ownership.md times so much. */
  readonly factor: number;
  /** One start behind others that begin with it. */
  readonly startMs: (bots: number) => number;
  /** A session ends after L; leader and new owner each take a poll; the bots start. */
  readonly sessionEndMs: (bots: number) => number;
  /** The Docker container is back and the bots start under the same epoch. */
  readonly dockerBackMs: (bots: number) => number;
  /** Stop, the two polls of a hand-over, start. */
  readonly handOverMs: (stopMs: number, bots: number) => number;
  /** From the end of a leader until another one leads, and after a clean release. */
  readonly controlGapMs: number;
  readonly cleanGapMs: number;
};

export function boundsOf(profile: Profile, base: Timings = MONGO_TIMINGS): Bounds {
  const factor = profile === "ci" ? 2 : 1;
  const timings = scaled(base, factor);
  const startMs = (bots: number): number => factor * START_MS * Math.max(1, Math.ceil(bots / START_CONCURRENCY));
  return {
    timings,
    factor,
    startMs,
    sessionEndMs: (bots) => timings.endMs + 2 * factor * POLL_MS + startMs(bots),
    dockerBackMs: (bots) => 3_000 * factor + startMs(bots),
    handOverMs: (stopMs, bots) => stopMs + 2 * factor * POLL_MS + startMs(bots),
    controlGapMs: 9_200 * factor,
    cleanGapMs: 1_200 * factor,
  };
}

function scaled(timings: Timings, factor: number): Timings {
  return Object.fromEntries(Object.entries(timings).map(([name, ms]) => [name, ms * factor])) as Timings;
}
