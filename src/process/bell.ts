import type { Clock } from "../core/clock.ts";

/** Wakes one loop early. A ring while nobody waits is kept, so none is lost between a look and the wait after it. */
export class Bell {
  #rung = false;
  #nap: AbortController | undefined;

  ring(): void {
    this.#rung = true;
    this.#nap?.abort();
  }

  /** Returns after a ring, after `ms`, or when the signal aborts, whichever comes first; says whether it was a ring. Never throws. */
  async wait(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> {
    if (!this.#rung) {
      const nap = new AbortController();
      this.#nap = nap;
      await clock.sleep(Math.max(0, ms), AbortSignal.any([signal, nap.signal])).catch(() => {});
      this.#nap = undefined;
    }
    const wasRung = this.#rung;
    this.#rung = false;
    return wasRung;
  }
}
