import { startSpreadMs } from "../core/backoff.ts";
import { after, type Clock, type MonoMs } from "../core/clock.ts";
import type { BotId } from "../core/ids.ts";

export type TakeOverOptions = {
  readonly clock: Clock;
  /** Gives [0, 1). */
  readonly random: () => number;
  /** Asks for a visit at that time. */
  readonly request: (bot: BotId, at: MonoMs) => void;
};

/** Order after a take-over: what runs is adopted first, then the starts come, spread over a moment.
 *
 *  open -`begin` with running bots-> adopting -last of them looked at-> open. While adopting no start is let in, for a storm of
 *  starts makes the Engine slow to tell what runs. A look has a time limit and counts however it ends, so starts never wait for long. */
export class TakeOver {
  readonly #options: TakeOverOptions;
  readonly #adopting = new Set<BotId>();
  /** Bots whose starts come once all is adopted. */
  readonly #waiting = new Set<BotId>();
  readonly #notBefore = new Map<BotId, MonoMs>();

  constructor(options: TakeOverOptions) {
    this.#options = options;
  }

  begin({ running, starting }: { readonly running: Iterable<BotId>; readonly starting: Iterable<BotId> }): void {
    for (const bot of running) this.#adopting.add(bot);
    for (const bot of starting) this.#waiting.add(bot);
    if (this.#adopting.size === 0) this.#letIn();
  }

  /** The bot was looked at: adopted, found in need of something else, or out of reach. */
  looked(bot: BotId): void {
    if (this.#adopting.delete(bot) && this.#adopting.size === 0) this.#letIn();
  }

  /** Whether a start of the bot may begin now. If not, a visit is asked for when it may. */
  admits(bot: BotId): boolean {
    const { clock, request } = this.#options;
    if (this.#adopting.size > 0) {
      this.#waiting.add(bot);
      return false;
    }
    const at = this.#notBefore.get(bot);
    if (at !== undefined && at > clock.mono()) {
      request(bot, at);
      return false;
    }
    this.#notBefore.delete(bot);
    return true;
  }

  #letIn(): void {
    const { clock, random, request } = this.#options;
    const now = clock.mono();
    for (const [bot, at] of this.#notBefore) if (at <= now) this.#notBefore.delete(bot); // came for another reason, or never
    const spreadMs = startSpreadMs(this.#waiting.size);
    for (const bot of this.#waiting) {
      const at = after(now, random() * spreadMs);
      this.#notBefore.set(bot, at);
      request(bot, at);
    }
    this.#waiting.clear();
  }
}
