import { BSON, type ChangeStream, type ChangeStreamDocument, type Db, MongoError } from "mongodb";
import { retryDelayMs } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import type { Hint, Watched } from "../core/ledger.ts";
import { Bell } from "../process/bell.ts";
import { type Actor, runGroup } from "../process/run-group.ts";
import { untilAborted } from "../process/until-aborted.ts";
import { refusesChangeStreams } from "./errors.ts";
import { Gathered } from "./gathered.ts";
import type { WholeFeed } from "./shared-feed.ts";
import { type CollectionNames, collectionSource, databaseSource, type StreamSource } from "./stream-source.ts";

export type FeedOptions = {
  readonly clock: Clock;
  readonly random: () => number;
  /** Everything is looked at again this often though change streams work, in ms. @default 180000 */
  readonly resyncMs?: number;
  /** The same where there are no change streams. @default 5000 */
  readonly pollMs?: number;
  /** How long the server may keep a quiet stream's request, in ms: well below the limit of a call. @default 2000 */
  readonly awaitMs?: number;
  /** False: polls though the server may have change streams. @default true */
  readonly streams?: boolean;
  /** Told once how changes are seen, and again when that changes; `why` is the server's refusal. */
  readonly onMode?: (mode: "stream" | "poll", why?: unknown) => void;
};

/** After a hint, ids are gathered this long before the next, in ms. */
const GATHER_MS = 50;

type OnHint = (what: Watched, hint: Hint) => void;
type Tell = {
  readonly onHint: OnHint;
  readonly lookAtAll: () => void;
  /** The stream has its place: from here on nothing is missed. */
  readonly onOpen: () => void;
  /** The server has answered a request for changes. */
  readonly onReply: () => void;
};

/** Hints of all kinds from change streams; where the server has none, hints by the clock alone.
 *  One stream of the database brings them all: each stream costs the server a look at every write and us a request every
 *  few seconds. A role that may only read our collections gets a stream for each of them instead, until the watch ends.
 *  A stream's watch is in one of three states. *Streaming*: hints follow each change, with a full look at the start and at
 *  each resync. *Broken*: it opens a new stream with growing pauses, and gives a full look whenever a poll would be due,
 *  for reads may work where streams do not. *Polling*: the server said no to a collection's stream, too; it is asked again
 *  at each resync. */
export class MongoFeed implements WholeFeed {
  readonly #db: Db;
  readonly #collections: CollectionNames;
  readonly #options: Required<FeedOptions>;
  #mode: "stream" | "poll" | undefined;

  constructor(db: Db, botsCollection: string, options: FeedOptions) {
    this.#db = db;
    this.#collections = { bots: botsCollection, placements: "runtime.placements", segments: "runtime.segments" };
    this.#options = { resyncMs: 180_000, pollMs: 5_000, awaitMs: 2_000, streams: true, onMode: () => {}, ...options };
  }

  async watch(onHint: OnHint, signal: AbortSignal): Promise<void> {
    const { clock, pollMs, streams } = this.#options;
    const whole = databaseSource(this.#db, this.#collections);
    if (!streams) {
      this.#tell("poll");
      return every(clock, pollMs, signal, () => whole.kinds.forEach((what) => onHint(what, { kind: "all" })));
    }
    await this.#follow(whole, onHint, signal, async () => "leave");
    if (signal.aborted) return;
    const actors = whole.kinds.map((what): Actor => {
      const source = collectionSource(this.#db, what, this.#collections);
      return (inner) => this.#follow(source, onHint, inner, (error, lookAtAll) => this.#poll(error, lookAtAll, inner));
    });
    await runGroup(actors, signal);
  }

  /** Keeps a stream open. When the server will not have it, `onRefused` says whether to leave or to ask again. */
  async #follow(
    source: StreamSource,
    onHint: OnHint,
    signal: AbortSignal,
    onRefused: (error: unknown, lookAtAll: () => void) => Promise<"leave" | "again">,
  ): Promise<void> {
    const { clock, random, pollMs } = this.#options;
    let lookedAt = clock.mono();
    const lookAtAll = (): void => {
      lookedAt = clock.mono();
      for (const what of source.kinds) onHint(what, { kind: "all" });
    };
    for (let attempt = 0; !signal.aborted;) {
      let isOpen = false;
      const onOpen = (): void => {
        isOpen = true;
        this.#tell("stream");
        lookAtAll();
      };
      const onReply = (): void => {
        attempt = 0; // a stream that opens and breaks at once is no progress
      };
      try {
        await this.#stream(source, { onHint, lookAtAll, onOpen, onReply }, signal);
      } catch (error) {
        if (signal.aborted) return;
        // Not the connection's fault but our reader's: it is not ours to hide.
        if (!(error instanceof MongoError || error instanceof BSON.BSONError)) throw error;
        if (!isOpen && refusesChangeStreams(error)) {
          if ((await onRefused(error, lookAtAll)) === "leave") return;
          continue;
        }
        // Whatever broke it, history lost or an election: a new stream and a full look mend all.
      }
      await clock.sleep(retryDelayMs(attempt++, random), signal).catch(() => {});
      if (!signal.aborted && clock.mono() - lookedAt >= pollMs) lookAtAll();
    }
  }

  async #poll(why: unknown, lookAtAll: () => void, signal: AbortSignal): Promise<"again"> {
    const { clock, pollMs, resyncMs } = this.#options;
    this.#tell("poll", why);
    await every(clock, pollMs, AbortSignal.any([signal, endAfter(clock, resyncMs, signal)]), lookAtAll);
    return "again";
  }

  #tell(mode: "stream" | "poll", why?: unknown): void {
    if (mode === this.#mode) return;
    this.#mode = mode;
    this.#options.onMode(mode, why);
  }

  /** One stream until it breaks or is closed. @throws what broke it */
  async #stream(source: StreamSource, { onHint, lookAtAll, onOpen, onReply }: Tell, signal: AbortSignal): Promise<void> {
    const { clock, resyncMs, awaitMs } = this.#options;
    const stream = source.open({ maxAwaitTimeMS: awaitMs });
    const gathered = new Map(source.kinds.map((what) => [what, new Gathered(what)]));
    const fresh = new Bell();
    const end = new AbortController();
    const over = AbortSignal.any([signal, end.signal]);
    const opened = Promise.withResolvers<void>();
    // The token that comes with the stream says where it begins; the first request may be kept for seconds. A server that
    // gives none tells by its first reply. The full look comes after that: what changes during it is a hint.
    stream.once("resumeTokenChanged", opened.resolve);
    const onFirst = (): void => (opened.resolve(), onReply());
    const onChange = (change: ChangeStreamDocument): void => {
      for (const what of source.concerns(change)) gathered.get(what)?.add(change);
      fresh.ring();
    };
    const run = async (): Promise<void> => {
      const reading = read(stream, source.last, onChange, onFirst).finally(() => end.abort());
      await Promise.race([opened.promise, reading]);
      if (over.aborted) return;
      onOpen();
      await Promise.all([
        reading,
        clock.sleep(resyncMs, over).then(() => every(clock, resyncMs, over, lookAtAll), ignore),
        tell(clock, gathered, fresh, onHint, over),
      ]);
    };
    try {
      // The server may keep a quiet stream's request for seconds: who leaves does not wait for its answer.
      await untilAborted(run(), signal);
    } finally {
      end.abort();
      void stream.close().catch(ignore);
    }
  }
}

/** Asks one reply at a time, so that each has the limit of a call. */
async function read(
  stream: ChangeStream,
  last: ReadonlySet<string>,
  onChange: (change: ChangeStreamDocument) => void,
  onReply: () => void,
): Promise<void> {
  // A stream that was closed under its reader answers null at once, for ever.
  while (!stream.closed) {
    const change: ChangeStreamDocument | null = await stream.tryNext();
    onReply();
    if (change === null) continue;
    onChange(change);
    if (last.has(change.operationType)) return;
  }
}

/** Acts at once and then at every interval, until the signal aborts. */
async function every(clock: Clock, ms: number, signal: AbortSignal, act: () => void): Promise<void> {
  while (!signal.aborted) {
    act();
    await clock.sleep(ms, signal).catch(ignore);
  }
}

function endAfter(clock: Clock, ms: number, signal: AbortSignal): AbortSignal {
  const end = new AbortController();
  void clock.sleep(ms, signal).then(() => end.abort(), ignore);
  return end.signal;
}

type AllGathered = ReadonlyMap<Watched, Gathered>;

async function tell(clock: Clock, gathered: AllGathered, fresh: Bell, onHint: OnHint, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await fresh.wait(clock, 60_000, signal);
    if (!signal.aborted) for (const [what, some] of gathered) for (const hint of some.take()) onHint(what, hint);
    // The first change after a quiet time is told at once; those that follow it soon are told together.
    await clock.sleep(GATHER_MS, signal).catch(ignore);
  }
}

/** For waits that an abort cuts short: the loop around them looks at the signal. */
function ignore(): void {}
