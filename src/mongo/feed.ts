import { BSON, type ChangeStream, type ChangeStreamDocument, type Db, MongoError } from "mongodb";
import { retryDelayMs } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import type { ChangeFeed, Hint, Watched } from "../core/ledger.ts";
import { Bell } from "../process/bell.ts";
import { refusesChangeStreams } from "./errors.ts";
import { Gathered } from "./gathered.ts";

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
/** Only what names the document: the document itself would come late and for nothing. */
const ONLY_KEYS = { $project: { _id: 1, operationType: 1, documentKey: 1 } };
/** A bot placed as inactive changes nothing for anybody: it gets neither an owner nor a container. The first admission of
 *  a large collection would otherwise be told to the process that does it, bot by bot. */
const NOT_PLACED_INACTIVE = { $match: { $nor: [{ operationType: "insert", "fullDocument.active": false }] } };
const PIPELINES: Readonly<Record<Watched, readonly object[]>> = {
  bots: [ONLY_KEYS],
  placements: [NOT_PLACED_INACTIVE, ONLY_KEYS],
  segments: [ONLY_KEYS],
};
/** After these a stream gives nothing more. */
const LAST = new Set(["drop", "rename", "dropDatabase", "invalidate"]);

type OnHint = (hint: Hint) => void;
type Tell = {
  readonly onHint: OnHint;
  readonly lookAtAll: () => void;
  /** The stream has its place: from here on nothing is missed. */
  readonly onOpen: () => void;
  /** The server has answered a request for changes. */
  readonly onReply: () => void;
};

/** Hints from change streams; where the server has none, hints by the clock alone.
 *  A watch is in one of three states. *Streaming*: hints follow each change, with a full look at the start and at each
 *  resync. *Broken*: it opens a new stream with growing pauses, and gives a full look whenever a poll would be due, for
 *  reads may work where streams do not. *Polling*: the server said no; it is asked again at each resync. */
export class MongoFeed implements ChangeFeed {
  readonly #db: Db;
  readonly #collections: Readonly<Record<Watched, string>>;
  readonly #options: Required<FeedOptions>;
  #mode: "stream" | "poll" | undefined;

  constructor(db: Db, botsCollection: string, options: FeedOptions) {
    this.#db = db;
    this.#collections = { bots: botsCollection, placements: "runtime.placements", segments: "runtime.segments" };
    this.#options = { resyncMs: 180_000, pollMs: 5_000, awaitMs: 2_000, streams: true, onMode: () => {}, ...options };
  }

  async watch(what: Watched, onHint: OnHint, signal: AbortSignal): Promise<void> {
    const { clock, random, pollMs, resyncMs, streams } = this.#options;
    if (!streams) {
      this.#tell("poll");
      return every(clock, pollMs, signal, () => onHint({ kind: "all" }));
    }
    let lookedAt = clock.mono();
    const lookAtAll = (): void => {
      lookedAt = clock.mono();
      onHint({ kind: "all" });
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
        await this.#stream(what, { onHint, lookAtAll, onOpen, onReply }, signal);
      } catch (error) {
        if (signal.aborted) return;
        // Not the connection's fault but our reader's: it is not ours to hide.
        if (!(error instanceof MongoError || error instanceof BSON.BSONError)) throw error;
        if (!isOpen && refusesChangeStreams(error)) {
          this.#tell("poll", error);
          const until = AbortSignal.any([signal, endAfter(clock, resyncMs, signal)]);
          await every(clock, pollMs, until, lookAtAll);
          continue;
        }
        // Whatever broke it, history lost or an election: a new stream and a full look mend all.
      }
      await clock.sleep(retryDelayMs(attempt++, random), signal).catch(() => {});
      if (!signal.aborted && clock.mono() - lookedAt >= pollMs) lookAtAll();
    }
  }

  #tell(mode: "stream" | "poll", why?: unknown): void {
    if (mode === this.#mode) return;
    this.#mode = mode;
    this.#options.onMode(mode, why);
  }

  /** One stream until it breaks or is closed. @throws what broke it */
  async #stream(what: Watched, { onHint, lookAtAll, onOpen, onReply }: Tell, signal: AbortSignal): Promise<void> {
    const { clock, resyncMs, awaitMs } = this.#options;
    const stream = this.#db.collection(this.#collections[what]).watch([...PIPELINES[what]], { maxAwaitTimeMS: awaitMs });
    const gathered = new Gathered(what);
    const fresh = new Bell();
    const end = new AbortController();
    const over = AbortSignal.any([signal, end.signal]);
    const opened = Promise.withResolvers<void>();
    // The token that comes with the stream says where it begins; the first request may be kept for seconds. A server that
    // gives none tells by its first reply. The full look comes after that: what changes during it is a hint.
    stream.once("resumeTokenChanged", opened.resolve);
    const onFirst = (): void => (opened.resolve(), onReply());
    const run = async (): Promise<void> => {
      const reading = read(stream, gathered, fresh, onFirst).finally(() => end.abort());
      await Promise.race([opened.promise, reading]);
      if (over.aborted) return;
      onOpen();
      await Promise.all([
        reading,
        clock.sleep(resyncMs, over).then(() => every(clock, resyncMs, over, lookAtAll), ignore),
        tell(clock, gathered, fresh, onHint, over),
      ]);
    };
    const left = Promise.withResolvers<void>();
    const leave = (): void => left.resolve();
    signal.addEventListener("abort", leave, { once: true });
    if (signal.aborted) left.resolve();
    try {
      // The server may keep a quiet stream's request for seconds: who leaves does not wait for its answer.
      await Promise.race([run(), left.promise]);
    } finally {
      signal.removeEventListener("abort", leave);
      end.abort();
      void stream.close().catch(ignore);
    }
  }
}

/** Asks one reply at a time, so that each has the limit of a call. */
async function read(stream: ChangeStream, gathered: Gathered, fresh: Bell, onReply: () => void): Promise<void> {
  // A stream that was closed under its reader answers null at once, for ever.
  while (!stream.closed) {
    const change: ChangeStreamDocument | null = await stream.tryNext();
    onReply();
    if (change === null) continue;
    gathered.add(change);
    fresh.ring();
    if (LAST.has(change.operationType)) return;
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

async function tell(clock: Clock, gathered: Gathered, fresh: Bell, onHint: OnHint, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await fresh.wait(clock, 60_000, signal);
    if (!signal.aborted) for (const hint of gathered.take()) onHint(hint);
    // The first change after a quiet time is told at once; those that follow it soon are told together.
    await clock.sleep(GATHER_MS, signal).catch(ignore);
  }
}

/** For waits that an abort cuts short: the loop around them looks at the signal. */
function ignore(): void {}
