import type { ChangeStream, ChangeStreamDocument, Db } from "mongodb";
import { retryDelayMs } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import { botIdOf } from "../core/ids.ts";
import type { ChangeFeed, Hint, Watched } from "../core/ledger.ts";
import { Bell } from "../process/bell.ts";
import { rawIdOf } from "./bots.ts";
import { isWithoutChangeStreams } from "./errors.ts";

export type FeedOptions = {
  readonly clock: Clock;
  readonly random: () => number;
  /** Everything is looked at again this often though change streams work, in ms. @default 180000 */
  readonly resyncMs?: number;
  /** The same where there are no change streams. @default 5000 */
  readonly pollMs?: number;
  /** Told once for each collection, and again when it changes. */
  readonly onMode?: (mode: "stream" | "poll", what: Watched, why?: unknown) => void;
};

/** Ids are gathered this long, and at most so many, before a hint is given. */
const GATHER_MS = 50;
/** A quiet stream is answered this often: well below the socket's time limit. */
const STREAM_WAIT_MS = 2_000;
const MAX_IDS = 1_000;

/** Hints from change streams; where the server has none, the same hints by the clock alone. */
export class MongoFeed implements ChangeFeed {
  readonly #db: Db;
  readonly #collections: Readonly<Record<Watched, string>>;
  readonly #options: Required<FeedOptions>;

  constructor(db: Db, botsCollection: string, options: FeedOptions) {
    this.#db = db;
    this.#collections = { bots: botsCollection, placements: "runtime.placements", segments: "runtime.segments" };
    this.#options = { resyncMs: 180_000, pollMs: 5_000, onMode: () => {}, ...options };
  }

  async watch(what: Watched, onHint: (hint: Hint) => void, signal: AbortSignal): Promise<void> {
    const { clock, random, onMode } = this.#options;
    for (let attempt = 0; !signal.aborted;) {
      try {
        await this.#stream(what, onHint, signal, () => (attempt = 0));
      } catch (error) {
        if (signal.aborted) return;
        if (isWithoutChangeStreams(error)) {
          onMode("poll", what, error);
          return this.#poll(onHint, signal);
        }
        // Whatever broke it: history lost, the collection dropped, an election. A new stream and a full look mend all.
      }
      await clock.sleep(retryDelayMs(attempt++, random), signal).catch(() => {});
    }
  }

  async #poll(onHint: (hint: Hint) => void, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      onHint({ kind: "all" });
      await this.#options.clock.sleep(this.#options.pollMs, signal).catch(() => {});
    }
  }

  /** One stream until it breaks or is closed. @throws what broke it */
  async #stream(what: Watched, onHint: (hint: Hint) => void, signal: AbortSignal, onOpen: () => void): Promise<void> {
    const { clock, resyncMs, onMode } = this.#options;
    const stream = this.#db
      .collection(this.#collections[what])
      .watch([{ $project: { _id: 1, operationType: 1, documentKey: 1 } }], { maxAwaitTimeMS: STREAM_WAIT_MS });
    const gathered = new Gathered();
    const fresh = new Bell();
    const end = new AbortController();
    const over = AbortSignal.any([signal, end.signal]);
    // Closing is the only way to wake a reader that waits for the next change.
    const closed = new Promise<void>((resolve) =>
      over.addEventListener("abort", () => void stream.close().then(resolve, resolve), { once: true }),
    );
    try {
      await opened(stream);
      onMode("stream", what);
      onOpen();
      onHint({ kind: "all" }); // only now: what changed before the stream began is in this look, the rest is in the stream
      await Promise.all([
        read(stream, gathered, fresh).finally(() => end.abort()),
        every(clock, resyncMs, over, () => onHint({ kind: "all" })),
        tell(clock, gathered, fresh, onHint, over),
      ]);
    } finally {
      end.abort();
      await closed;
    }
  }
}

/** Runs the aggregation, so that the stream's beginning is fixed and a server without change streams says so. */
async function opened(stream: ChangeStream): Promise<void> {
  await stream.tryNext().then((change) => {
    if (change !== null) return; // it comes again as part of the full look that follows
  });
}

async function read(stream: ChangeStream, gathered: Gathered, fresh: Bell): Promise<void> {
  for await (const change of stream) {
    gathered.add(change);
    fresh.ring();
    if (change.operationType === "invalidate" || change.operationType === "drop" || change.operationType === "rename") return;
  }
}

async function every(clock: Clock, ms: number, signal: AbortSignal, act: () => void): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(ms, signal).catch(() => {});
    if (!signal.aborted) act();
  }
}

async function tell(clock: Clock, gathered: Gathered, fresh: Bell, onHint: (hint: Hint) => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await fresh.wait(clock, 60_000, signal);
    await clock.sleep(GATHER_MS, signal).catch(() => {});
    if (!signal.aborted) for (const hint of gathered.take()) onHint(hint);
  }
}

/** What changed since the last hint, bounded: beyond that everything is looked at. */
class Gathered {
  readonly #ids = new Set<string>();
  #unusable = false;
  #all = false;

  add(change: ChangeStreamDocument): void {
    if (!("documentKey" in change)) {
      this.#all = true;
      return;
    }
    const id: unknown = (change.documentKey as { _id: unknown })._id;
    const verdict = botIdOf(rawIdOf(id));
    if (verdict.ok) this.#ids.add(verdict.id);
    else this.#unusable = true;
    if (this.#ids.size > MAX_IDS) this.#all = true;
  }

  take(): Hint[] {
    const hints: Hint[] = this.#all
      ? [{ kind: "all" }]
      : [
          ...(this.#ids.size > 0 ? [{ kind: "some" as const, ids: [...this.#ids] }] : []),
          ...(this.#unusable ? [{ kind: "unusable" as const }] : []),
        ];
    this.#ids.clear();
    this.#unusable = false;
    this.#all = false;
    return hints;
  }
}
