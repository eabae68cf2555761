import { retryDelayMs } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import { EngineRefusedError, EngineUnreachableError } from "../core/errors.ts";
import type { BotId } from "../core/ids.ts";
import type { DockerClient } from "./client.ts";
import { readJsonLines } from "./json-lines.ts";
import { botOfLabels, MANAGED_FILTER } from "./labels.ts";

/** A stream is opened anew after so long, in ms: one that fell silent looks like one with nothing to say. */
const MAX_STREAM_MS = 600_000;
/** A stream that lived so long was a good one, in ms: the next wait is the shortest again. */
const GOOD_STREAM_MS = 10_000;

type Event = { readonly Actor?: { readonly Attributes?: Readonly<Record<string, string>> } };

export type WatchOptions = { readonly clock: Clock; readonly random: () => number; readonly signal: AbortSignal };

/** Hints from the Engine's events until the signal aborts. After each (re)connect a hint without a bot says that events
 *  may have been missed. An Engine that is away never ends the watch: who must know of it asks it. */
export async function watchEvents(
  client: DockerClient,
  onHint: (bot: BotId | undefined) => void,
  { clock, random, signal }: WatchOptions,
): Promise<void> {
  let since: string | undefined;
  for (let attempt = 0; !signal.aborted; attempt++) {
    const began = clock.mono();
    const filters = { type: ["container"], label: MANAGED_FILTER, event: ["die", "oom", "start", "destroy"] };
    const request = {
      what: "watch events",
      method: "GET",
      path: "/events",
      query: { filters, ...(since && { since }) },
      signal,
      limitMs: MAX_STREAM_MS,
    } as const;
    try {
      await client.stream(request, async (body) => {
        onHint(undefined);
        for await (const { line, value } of readJsonLines(body)) {
          since = stampOf(line) ?? since;
          const bot = botOfLabels((value as Event).Actor?.Attributes);
          if (bot !== undefined) onHint(bot);
        }
      });
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof EngineUnreachableError || error instanceof EngineRefusedError)) throw error;
    }
    if (clock.mono() - began >= GOOD_STREAM_MS) attempt = 0;
    await clock.sleep(retryDelayMs(attempt, random), signal).catch(() => {});
  }
}

/** The event's time as the Engine takes it back in `since`: seconds, a dot, nanoseconds. Taken from the text, because a
 *  number of JavaScript cannot hold it. */
function stampOf(line: string): string | undefined {
  const nano = /"timeNano":(\d{10,})/.exec(line)?.[1];
  return nano && `${nano.slice(0, -9)}.${nano.slice(-9)}`;
}
