import type { Clock } from "../core/clock.ts";
import type { BotId } from "../core/ids.ts";
import type { Hint } from "../core/ledger.ts";
import { Bell } from "../process/bell.ts";
import { Due } from "../process/due.ts";
import { tolerate } from "../process/retry.ts";
import type { Admission } from "./admission.ts";
import type { LeaderBus } from "./events.ts";

/** The first merge waits so long for the feed, and no longer: it must not hang on a stream that does not open. */
const FIRST_HINT_MS = 1_000;
/** A merge that broke off is begun again after so long. */
const AGAIN_MS = 1_000;
/** Bots that are looked at together. */
const BATCH = 500;

export type AdmittingOptions = {
  readonly admission: Admission;
  readonly clock: Clock;
  readonly bus: LeaderBus;
  readonly checkIntervalMs: number;
  /** These may have been admitted, or others in a comparison of all: segments may need an owner. */
  readonly onNews: (bots: readonly BotId[]) => void;
};

/** When bots are compared with their placements: all of them at the start and whenever hints may have been lost, else those
 *  that hints name. */
export class Admitting {
  readonly #options: AdmittingOptions;
  readonly #bell = new Bell();
  readonly #hinted = new Due<BotId>();
  readonly #merge = new Due<"all">();
  readonly #unusable = new Due<"all">();
  #isMerged = false;

  constructor(options: AdmittingOptions) {
    this.#options = options;
    this.forget();
  }

  /** Whether all bots were compared since this process leads: segments without their bots would look free. */
  get isMerged(): boolean {
    return this.#isMerged;
  }

  onHint(hint: Hint): void {
    if (hint.kind === "all") this.#merge.add(["all"]);
    else if (hint.kind === "unusable") this.#unusable.add(["all"]);
    else this.#hinted.add(hint.ids as readonly BotId[]);
    this.#bell.ring();
  }

  /** Everything is to be compared anew. */
  forget(): void {
    this.#merge.add(["all"]);
    this.#isMerged = false;
  }

  /** Admits until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, bus, checkIntervalMs, onNews } = this.#options;
    // The feed's first word is to look at everything: with it the first merge is the only one.
    await this.#bell.wait(clock, FIRST_HINT_MS, signal);
    while (!signal.aborted) {
      const isNews = this.#merge.size + this.#hinted.size > 0;
      const bots = [...this.#hinted];
      await tolerate(
        () => this.#round(signal),
        (error) => bus.emit("round:failed", { loop: "admission", error }),
      );
      // Without news the assignment keeps its own interval: nobody need look at everything twice.
      if (isNews) onNews(bots);
      await this.#bell.wait(clock, this.#merge.size > 0 ? AGAIN_MS : checkIntervalMs, signal);
    }
  }

  async #round(signal: AbortSignal): Promise<void> {
    const { admission } = this.#options;
    await this.#merge.take(async () => {
      await admission.merge(signal);
      this.#isMerged = true;
    });
    for (let left = this.#hinted.size; left > 0; left -= BATCH) await this.#hinted.take((bots) => admission.look(bots), BATCH);
    await this.#unusable.take(() => admission.reportUnusable(signal));
  }
}
