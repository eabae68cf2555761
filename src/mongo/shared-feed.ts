import type { ChangeFeed, Hint, Watched } from "../core/ledger.ts";
import { untilAborted } from "../process/until-aborted.ts";

type OnHint = (hint: Hint) => void;
type Listener = { readonly what: Watched; readonly onHint: OnHint };

/** Hints of every kind by one watch. */
export interface WholeFeed {
  /** As `ChangeFeed.watch` does for one kind: an `all` of each kind at the start, returns when the signal aborts. */
  watch(onHint: (what: Watched, hint: Hint) => void, signal: AbortSignal): Promise<void>;
}

/** One watch of everything and those who listen to it; `looked` are the kinds that had their first full look. */
type Shared = {
  readonly listeners: Set<Listener>;
  readonly looked: Set<Watched>;
  readonly end: AbortController;
  readonly ended: Promise<void>;
};

/** One watch of the database, however many parts of this process listen to however many kinds: leader and worker ask for
 *  the same ones. It begins with the first listener and ends with the last. */
export class SharedFeed implements ChangeFeed {
  readonly #feed: WholeFeed;
  #shared: Shared | undefined;

  constructor(feed: WholeFeed) {
    this.#feed = feed;
  }

  /** As the port says. A fault that ends the watch ends it for all its listeners. */
  async watch(what: Watched, onHint: OnHint, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const shared = (this.#shared ??= this.#begin());
    const listener: Listener = { what, onHint }; // one of its own, should somebody listen twice with the same function
    shared.listeners.add(listener);
    // The first full look was for those who were there already. Whoever has not seen it yet waits for it.
    if (shared.looked.has(what)) onHint({ kind: "all" });
    try {
      await untilAborted(shared.ended, signal);
    } finally {
      shared.listeners.delete(listener);
      if (shared.listeners.size === 0) await this.#end(shared);
    }
  }

  #begin(): Shared {
    const end = new AbortController();
    const listeners = new Set<Listener>();
    const looked = new Set<Watched>();
    const onHint = (what: Watched, hint: Hint): void => {
      looked.add(what);
      for (const listener of listeners) if (listener.what === what) listener.onHint(hint);
    };
    // Begun a turn later, so that who asked for it listens already when the first hint comes.
    const ended = Promise.resolve().then(() => this.#feed.watch(onHint, end.signal));
    return { listeners, looked, end, ended };
  }

  async #end(shared: Shared): Promise<void> {
    if (this.#shared === shared) this.#shared = undefined;
    shared.end.abort();
    await shared.ended.catch(() => {}); // told to each listener by the race above
  }
}
