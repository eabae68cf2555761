import type { MonoMs } from "./clock.ts";
import type { BotId, Epoch, SegmentId } from "./ids.ts";

/** A Docker Engine answers no ping for so long before it is restarted, in ms: lists hang in start storms, pings do not. These
 *  are measures of the Engine and not of the protocol, so `TIMINGS` leaves them alone. Source: ownership.md "Worker". */
const SILENT_MS = 120_000;
/** From one restart to the next, in ms: what a restart does not mend, the next will not mend either. */
const BETWEEN_MS = 15 * 60_000;
/** As long as a usual call may take, in ms: what waits for less has not met the silence yet. */
const WAITED_MS = 10_000;
/** Longer, and a ping or the pause between two was no silence of the Engine: this process stood still itself, in ms. */
const MAX_HOLE_MS = 20_000;

/** Pings without an answer, one after the other. */
export type Silence = {
  /** When the first of them was sent. */
  readonly since: MonoMs;
  /** When the last of them was given up. */
  readonly until: MonoMs;
  readonly pings: number;
};

/** One more ping came to nothing. INVARIANT: all of a silence was watched. */
export function afterUnanswered(before: Silence | undefined, sentAt: MonoMs, until: MonoMs): Silence | undefined {
  if (until - sentAt > MAX_HOLE_MS) return undefined;
  const goesOn = before !== undefined && sentAt - before.until <= MAX_HOLE_MS;
  return goesOn ? { since: before.since, until, pings: before.pings + 1 } : { since: sentAt, until, pings: 1 };
}

/** What ownership needs of the Engine and has not got: a segment that cannot be let go of before its bots are proven stopped,
 *  or the start of a bot that nobody else may start. A changed document is none: its bot runs. */
export type Need = {
  readonly what: "stop" | "start";
  readonly segment: SegmentId;
  readonly epoch: Epoch;
  /** Whose start it is; absent: all of the segment wait. */
  readonly bot?: BotId;
};
type WaitingNeed = Need & { readonly since: MonoMs };

/** Follows how long each need has stood. Another tenure is another need. */
export function trackNeeds(before: readonly WaitingNeed[], needs: readonly Need[], now: MonoMs): WaitingNeed[] {
  const since = new Map(before.map((need) => [keyOf(need), need.since]));
  return needs.map((need) => ({ ...need, since: since.get(keyOf(need)) ?? now }));
}

/** Why the Engine is restarted; for the log. */
export type RestartEvidence = {
  readonly silentMs: number;
  readonly pings: number;
  /** What has waited longest, and for how long. */
  readonly need: Need;
  readonly waitedMs: number;
  /** How many needs wait. */
  readonly waiting: number;
};

export type EngineView = {
  readonly silence: Silence | undefined;
  readonly waiting: readonly WaitingNeed[];
  /** The last restart by this process; absent: none. */
  readonly restartedAt: MonoMs | undefined;
};

/** Decides whether the Engine is to be restarted, and by what evidence. It ends every bot behind the fence, so it takes both: a
 *  silence that is no storm, and something that ownership needs and that only the Engine can give. */
export function decideEngineRestart({ silence, waiting, restartedAt }: EngineView, now: MonoMs): RestartEvidence | undefined {
  if (silence === undefined || silence.until - silence.since < SILENT_MS) return undefined;
  if (restartedAt !== undefined && now - restartedAt < BETWEEN_MS) return undefined;
  const [first] = waiting.toSorted((a, b) => a.since - b.since);
  if (first === undefined || now - first.since < WAITED_MS) return undefined;
  const { since, ...need } = first;
  return { silentMs: silence.until - silence.since, pings: silence.pings, need, waitedMs: now - since, waiting: waiting.length };
}

function keyOf({ what, segment, epoch, bot = "" as BotId }: Need): string {
  return `${what} ${segment} ${epoch} ${bot}`;
}
