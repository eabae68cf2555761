import { retryDelayMs } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import type { Container } from "../core/containers.ts";
import { EngineRefusedError, EngineUnreachableError } from "../core/errors.ts";
import type { BotId, ContainerId } from "../core/ids.ts";
import type { DockerClient } from "./client.ts";
import type { EngineBus } from "./engine-events.ts";
import { readJsonLines } from "./json-lines.ts";
import type { KillEvidence } from "./kill-evidence.ts";
import { botOfLabels, MANAGED_FILTER } from "./labels.ts";
import { RecentSet } from "./recent-set.ts";
import { type Missing, StreamCheck } from "./stream-check.ts";

/** The events that are asked for. */
export const EVENT_NAMES = ["die", "oom", "start", "destroy"];
/** A stream is opened anew after so long, in ms, should nothing show that it has fallen silent. */
const MAX_STREAM_MS = 600_000;
/** The waits for an Engine that is away grow no further than that of this attempt, which is 0.2 to 0.4 s. Its bots are down
 *  until it is heard, and a socket that nobody listens on costs next to nothing. Source: ownership.md, fault 16 */
const MAX_AWAY_ATTEMPT = 1;
/** A stream that lived so long was a good one, in ms: the next wait is the shortest again. */
const GOOD_STREAM_MS = 10_000;
/** How long an event may be under way after a list has shown what it is about, in ms: a container is off the list before
 *  its volumes are removed, and only then its end is told. Doubled for each stream that brought nothing at all, so that
 *  behind a proxy that lets no event through the streams come no faster than this. */
const GRACE_MS = 2_000;
const MAX_GRACE_MS = 60_000;
/** Events told apart from those that come again. The Engine keeps the last 256 and repeats no others. */
const REMEMBERED = 1_024;

type Event = {
  readonly Action?: string;
  readonly Actor?: { readonly ID?: string; readonly Attributes?: Readonly<Record<string, string>> };
};

export type WatchOptions = {
  readonly client: DockerClient;
  readonly clock: Clock;
  readonly random: () => number;
  readonly bus: EngineBus;
  readonly evidence: KillEvidence;
};

/** One listener to the Engine's events. A stream can fall silent without ending, so every list that the Engine gives
 *  meanwhile is held against what the stream brought (docker.md rule 13). */
export class EventWatch {
  readonly #options: WatchOptions;
  readonly #check = new StreamCheck();
  readonly #seen = new RecentSet<string>(REMEMBERED);
  #cut: AbortController | undefined;
  #silences = 0;
  #since: string | undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /** Hints until the signal aborts. After each (re)connect a hint without a bot says that events may have been missed.
   *  An Engine that is away never ends the watch: who must know of it asks it. */
  async run(onHint: (bot: BotId | undefined) => void, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    for (let attempt = 0; !signal.aborted; attempt++) {
      const began = clock.mono();
      const cut = new AbortController();
      let wasSilent = false;
      let isAway = false;
      try {
        await this.#stream(onHint, cut, AbortSignal.any([signal, cut.signal]));
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof EngineUnreachableError || error instanceof EngineRefusedError)) throw error;
        wasSilent = cut.signal.aborted;
        isAway = error instanceof EngineUnreachableError;
        if (!wasSilent) this.#options.evidence.lostTouch();
      } finally {
        this.#cut = undefined;
        cut.abort(); // nobody waits for what this stream should bring
      }
      if (clock.mono() - began >= GOOD_STREAM_MS) attempt = 0;
      const waitMs = retryDelayMs(isAway ? Math.min(attempt, MAX_AWAY_ATTEMPT) : attempt, random);
      if (!wasSilent) await clock.sleep(waitMs, signal).catch(() => {});
    }
  }

  /** A list is asked for now. Give its containers to what this returns. */
  listing(): (containers: readonly Container[]) => void {
    const turn = this.#check.ask();
    return (containers) => {
      const missing = this.#check.compare(turn, containers);
      if (missing.length > 0 && this.#cut !== undefined) void this.#expect(missing, this.#cut);
    };
  }

  async #stream(onHint: (bot: BotId | undefined) => void, cut: AbortController, signal: AbortSignal): Promise<void> {
    const filters = { type: ["container"], label: MANAGED_FILTER, event: EVENT_NAMES };
    const query = { filters, ...(this.#since && { since: this.#since }) };
    const request = { what: "watch events", method: "GET", path: "/events", query, signal, limitMs: MAX_STREAM_MS } as const;
    await this.#options.client.stream(request, async (body) => {
      this.#check.open();
      this.#cut = cut;
      onHint(undefined);
      for await (const { line, value } of readJsonLines(body)) this.#take(line, value as Event, onHint);
    });
  }

  #take(line: string, { Action: action = "", Actor: { ID = "", Attributes: labels } = {} }: Event, onHint: (bot: BotId) => void): void {
    const nano = nanoOf(line);
    if (nano !== undefined) this.#since = `${nano.slice(0, -9)}.${nano.slice(-9)}`;
    // `since` includes its own moment, so the last events come again with every new stream.
    if (nano !== undefined && !this.#seen.add(`${ID} ${action} ${nano}`)) return;
    this.#silences = 0;
    this.#check.tell(ID as ContainerId, action);
    if (action === "die") this.#options.evidence.sawDeath(ID as ContainerId);
    if (action === "oom") this.#options.evidence.sawOom(ID as ContainerId);
    const bot = botOfLabels(labels);
    if (bot !== undefined) onHint(bot);
  }

  /** Gives events that a list has proven a little time to come, then takes the stream for silent and ends it. */
  async #expect(missing: readonly Missing[], cut: AbortController): Promise<void> {
    const { clock, bus } = this.#options;
    try {
      await clock.sleep(Math.min(GRACE_MS * 2 ** this.#silences, MAX_GRACE_MS), cut.signal);
    } catch {
      return; // that stream has ended
    }
    const { length } = this.#check.lacking(missing);
    if (length === 0) return;
    this.#silences += 1;
    bus.emit("events:silent", { missing: length, times: this.#silences });
    cut.abort(new EngineUnreachableError("Cannot rely on the Docker Engine's events: the stream has fallen silent"));
  }
}

/** The event's time, taken from the text, because a number of JavaScript cannot hold it. */
function nanoOf(line: string): string | undefined {
  return /"timeNano":(\d{10,})/.exec(line)?.[1];
}
