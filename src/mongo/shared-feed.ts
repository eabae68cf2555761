import type { ChangeFeed, Hint, Watched } from "../core/ledger.ts";

type OnHint = (hint: Hint) => void;

/** One watch of a collection and those who listen to it. */
type Shared = { readonly listeners: Set<OnHint>; readonly end: AbortController; readonly ended: Promise<void>; hasLooked: boolean };

/** One change stream for each watched collection, however many parts of this process listen: leader and worker ask for
 *  the same ones, and each stream costs the server a look at every write and us an answer for it. */
export class SharedFeed implements ChangeFeed {
  readonly #feed: ChangeFeed;
  readonly #shared = new Map<Watched, Shared>();

  constructor(feed: ChangeFeed) {
    this.#feed = feed;
  }

  /** As the port says. A fault that ends the watch ends it for all its listeners. */
  async watch(what: Watched, onHint: OnHint, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const shared = this.#shared.get(what) ?? this.#begin(what);
    const listener: OnHint = (hint) => onHint(hint); // one of its own, should somebody listen twice with the same function
    shared.listeners.add(listener);
    // The first full look was for those who were there already. Whoever has not seen it yet waits for it.
    if (shared.hasLooked) onHint({ kind: "all" });
    const left = Promise.withResolvers<void>();
    const leave = (): void => left.resolve();
    signal.addEventListener("abort", leave, { once: true });
    try {
      await Promise.race([shared.ended, left.promise]);
    } finally {
      signal.removeEventListener("abort", leave);
      shared.listeners.delete(listener);
      if (shared.listeners.size === 0) await this.#end(what, shared);
    }
  }

  #begin(what: Watched): Shared {
    const end = new AbortController();
    const listeners = new Set<OnHint>();
    const onHint = (hint: Hint): void => {
      shared.hasLooked = true;
      for (const listener of listeners) listener(hint);
    };
    // Begun a turn later, so that who asked for it listens already when the first hint comes.
    const ended = Promise.resolve().then(() => this.#feed.watch(what, onHint, end.signal));
    const shared: Shared = { listeners, end, ended, hasLooked: false };
    this.#shared.set(what, shared);
    return shared;
  }

  async #end(what: Watched, shared: Shared): Promise<void> {
    if (this.#shared.get(what) === shared) this.#shared.delete(what);
    shared.end.abort();
    await shared.ended.catch(() => {}); // told to each listener by the race above
  }
}
