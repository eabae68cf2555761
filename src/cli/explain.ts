import type { BotReading, BotState } from "../core/bot.ts";
import type { PlacementRecord, RunRecord, SegmentRecord, StatusRecord, WorkerRecord } from "../core/records.ts";
import { durationText, momentText } from "./time-text.ts";

/** Everything that is known of one bot at one moment. */
export type Known = {
  readonly bot: string;
  /** Undefined: it has no document. */
  readonly reading: BotReading | undefined;
  readonly status: StatusRecord | undefined;
  readonly placement: PlacementRecord | undefined;
  readonly segment: SegmentRecord | undefined;
  /** The session that owns the segment. */
  readonly owner: WorkerRecord | undefined;
  /** The newest first. */
  readonly runs: readonly RunRecord[];
  readonly now: Date;
};

export type Explanation = {
  readonly bot: string;
  readonly state: BotState | "deleted";
  readonly since: Date | null;
  /** Sentences: what led here. */
  readonly why: readonly string[];
  readonly faults: readonly string[];
  readonly warnings: readonly string[];
  /** One sentence: what happens if nobody does anything. */
  readonly next: string;
  readonly runs: readonly ExplainedRun[];
};

type ExplainedRun = {
  readonly container: string;
  readonly started: Date | null;
  readonly ended: Date;
  readonly lastedMs: number | null;
  readonly exit: number;
  readonly oom: RunRecord["oom"];
  readonly startedWhy: string;
  readonly endedWhy: string;
};

/** Explains one bot. The document says what should be, the status what its owner saw last; where the two differ, the
 *  document is newer, and what is next follows from it. */
export function explain(known: Known): Explanation {
  const { bot, reading, status, runs } = known;
  return {
    bot,
    state: status?.state ?? stateWithout(reading),
    since: status?.since ?? null,
    why: whyOf(known),
    faults: reading?.kind === "invalid" ? reading.faults : [],
    warnings: reading?.kind === "valid" ? reading.warnings : [],
    next: nextOf(known),
    runs: runs.map(({ _id, started, ended, exit, oom, startedWhy, endedWhy }) => ({
      container: _id,
      started,
      ended,
      lastedMs: started === null ? null : Math.max(0, ended.getTime() - started.getTime()),
      exit,
      oom,
      startedWhy,
      endedWhy,
    })),
  };
}

function stateWithout(reading: BotReading | undefined): Explanation["state"] {
  if (reading === undefined) return "deleted";
  return reading.kind === "invalid" ? "invalid" : reading.enabled ? "pending" : "stopped";
}

function whyOf({ reading, status, now }: Known): string[] {
  const why: string[] = [];
  const exit = status?.lastExit;
  // An invalid bot's message repeats its faults, which have lines of their own.
  if (status?.message && reading?.kind !== "invalid") why.push(status.message);
  if (exit !== null && exit !== undefined) {
    const ago = durationText(now.getTime() - exit.at.getTime());
    why.push(`last exit: ${exit.code}${signalText(exit.code)}, ${momentText(exit.at)}, ${ago} ago (${exit.why})`);
    if (exit.oom !== "no" && reading?.kind === "valid") {
      const mebibytes = Math.floor(reading.spec.resources.memoryBytes / 1024 ** 2);
      why.push(`${exit.oom === "oom" ? "killed" : "probably killed"} for its memory, the limit is ${mebibytes}Mi: raise resources.memory`);
    }
  }
  return why;
}

/** 143: ended by SIGTERM, as the shell counts. */
function signalText(code: number): string {
  const name = { 130: "SIGINT", 134: "SIGABRT", 137: "SIGKILL", 139: "SIGSEGV", 143: "SIGTERM" }[code];
  return name === undefined ? "" : ` (${name})`;
}

function nextOf(known: Known): string {
  const { bot, reading, status, placement } = known;
  if (reading === undefined)
    return status === undefined && placement === undefined
      ? "nothing: it is deleted"
      : "its container is stopped and its records are forgotten: its document is deleted";
  const isUp = status !== undefined && ["running", "starting", "stopping", "backoff"].includes(status.state) && placement?.active === true;
  if (reading.kind === "invalid")
    return isUp ? "its container is stopped: its document is invalid" : "nothing until its document is corrected";
  if (!reading.enabled) return isUp ? "its container is stopped: it is disabled" : `nothing: disabled (runtime bots enable ${bot})`;
  if (placement === undefined) return "waits for a segment: no runtime has taken its document in yet";
  if (!placement.active) {
    if (placement.done === reading.hash) return endedText(bot, reading, status);
    return `waits for the leader to count it in segment ${placement.segment}: it was enabled or changed`;
  }
  return nextOfActive(known, reading, placement);
}

type Valid = Extract<BotReading, { kind: "valid" }>;

function nextOfActive({ bot, status, segment, owner, now }: Known, reading: Valid, placement: PlacementRecord): string {
  const where = `segment ${placement.segment}`;
  if (segment === undefined || segment.owner === null) return `waits for an owner: ${where} is free`;
  const who = owner?.pod === undefined || owner.pod === "" ? segment.owner : owner.pod;
  if (owner === undefined || owner.state === "dead" || owner.state === "gone")
    return `waits for a new owner: the last one of ${where}, ${who}, has ended`;
  const ownedBy = `${where} owned by ${who} under epoch ${segment.epoch}`;
  if (segment.state === "revoking")
    return `moves: ${who} stops the bots of ${where} (epoch ${segment.epoch}), then another owner starts it`;
  if (owner.state === "draining") return `moves: ${who} ends and stops its bots, then another owner of ${where} starts it`;
  if (status === undefined || status.epoch < segment.epoch)
    return `waits to be started or adopted in ${ownedBy}, which has not reported it yet`;
  const isChanged = status.spec !== null && status.spec !== reading.hash;
  switch (status.state) {
    case "running":
      return isChanged ? `restarts: its document has changed; in ${ownedBy}` : `runs in ${ownedBy}`;
    case "backoff":
      return isChanged ? `starts at once: its document has changed; in ${ownedBy}` : backoffText(bot, status, now);
    case "starting":
      return `starts in ${ownedBy}: its image, then its container`;
    case "stopping":
      return `starts anew in ${ownedBy} once its container is proven gone`;
    case "completed":
    case "failed":
      return isChanged ? `starts: its document has changed; in ${ownedBy}` : endedText(bot, reading, status);
    case "pending":
      return `waits in ${ownedBy}`;
    case "stopped":
    case "invalid":
      return `starts in ${ownedBy}: its document lets it run again`;
  }
}

function endedText(bot: string, { spec }: Valid, status: StatusRecord | undefined): string {
  const ended = status?.state === "failed" ? "failed" : "completed";
  return `nothing: it has ${ended}, and with restart: ${spec.restart} it starts again only when its document changes (runtime bots restart ${bot})`;
}

function backoffText(bot: string, { attempt, nextStart, lastExit, message }: StatusRecord, now: Date): string {
  // An image that the registry refuses for good: no moment is set.
  if (nextStart === null)
    return `nothing: it cannot be started while its document stays as it is (runtime bots restart ${bot} tries again)`;
  // Our own faults begin with "Cannot"; the rest is what the Engine says of a run that did begin.
  const kind = lastExit === null || message.startsWith("Cannot ") ? "failed start" : "crash";
  const cause =
    attempt === 0
      ? message.includes("holds the name")
        ? "its name is not free"
        : "no image yet"
      : `${kind} ${attempt} in a row, back-off`;
  const leftMs = nextStart.getTime() - now.getTime();
  // The owner reports when it acts, not when it means to: a moment in the past is its next act.
  return leftMs <= 0
    ? `starts again now, it was due at ${momentText(nextStart)} (${cause})`
    : `starts again at ${momentText(nextStart)}, in ${durationText(leftMs)} (${cause})`;
}
