import { setTimeout as sleep } from "node:timers/promises";

import { Observer } from "../observer.ts";
import type { Run } from "../runs.ts";
import type { Books, Placement } from "../stage.ts";

type Read = () => Promise<Pick<Books, "workers" | "segments" | "statuses"> & { readonly placements: readonly Placement[] }>;

/** Reads the fleet's books again and again, and holds them against the invariants that can be told from there. */
export class BookWatch {
  readonly #read: Read;
  readonly #now: () => number;
  #observer = new Observer();
  readonly #end = new AbortController();
  #told = 0;
  #ended: Promise<void> = Promise.resolve();

  constructor(read: Read, now: () => number) {
    this.#read = read;
    this.#now = now;
  }

  start(): void {
    this.#ended = this.#watch(this.#end.signal);
  }

  /** What was broken since the last call. */
  takeBreaches(runs: readonly Run[]): string[] {
    this.#observer.judgeStarts(runs);
    const found = this.#observer.breaches.slice(this.#told);
    this.#told += found.length;
    return found;
  }

  /** What is true of the books was taken away on purpose: begins anew. */
  reset(): void {
    this.#observer = new Observer();
    this.#told = 0;
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await this.#ended;
  }

  async #watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const askedAt = this.#now();
      // With MongoDB away there is nothing to be seen.
      const seen = await this.#read().catch(() => undefined);
      if (seen !== undefined) this.#observer.see({ ...seen, askedAt, answeredAt: this.#now() });
      await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}

const LOOK_MS = 500;
