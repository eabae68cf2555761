import type { Clock } from "../core/clock.ts";
import type { Sight } from "../core/election.ts";
import { type Headless, headlessLimitMs, mustGiveUp, observeHeadless } from "../core/headless.ts";
import type { Session } from "../core/session.ts";
import type { Timings } from "../core/timings.ts";
import type { WorkerBus } from "./events.ts";

export type HeadlessWatchOptions = {
  /** Our own session, as this thread knows it. */
  readonly session: () => Session;
  /** The lease of leadership as last seen; what is seen of it comes through the API server alone. */
  readonly leader: () => Sight | undefined;
  readonly clock: Clock;
  readonly timings: Timings;
  readonly bus: WorkerBus;
  /** This process shall stop its bots in order and end. Called once. */
  readonly giveUp: () => void;
  /** @default `headlessLimitMs`, 15 min */
  readonly limitMs?: number;
};

/** Follows whether this worker lives by its Lease alone, and has it give up once a leader has reached for long what it does
 *  not: then its bots are better off elsewhere. */
export class HeadlessWatch {
  readonly #options: HeadlessWatchOptions;
  #headless: Headless | undefined;

  constructor(options: HeadlessWatchOptions) {
    this.#options = options;
  }

  /** For how long MongoDB has confirmed nothing, in ms; 0 when this worker is not headless. */
  headlessMs(): number {
    return this.#headless === undefined ? 0 : this.#options.clock.mono() - this.#headless.since;
  }

  /** Looks until the signal aborts, once for each renewal. */
  async run(signal: AbortSignal): Promise<void> {
    const { session, leader, clock, timings, bus, giveUp, limitMs = headlessLimitMs(timings) } = this.#options;
    let hasGivenUp = false;
    while (!signal.aborted) {
      const now = clock.mono();
      this.#headless = observeHeadless(this.#headless, session(), leader(), now, timings);
      if (this.#headless !== undefined && !hasGivenUp && mustGiveUp(this.#headless, now, limitMs)) {
        hasGivenUp = true;
        const { since, vouchedSince = now, leader: by = "" } = this.#headless;
        bus.emit("headless:gave-up", { headlessMs: now - since, leader: by, vouchedMs: now - vouchedSince });
        giveUp();
      }
      await clock.sleep(timings.renewMs, signal).catch(() => {});
    }
  }
}
