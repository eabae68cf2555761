import type { BotId } from "../core/ids.ts";

/** Waits of starts for their images: a pull may last for minutes, and what a bot should be may change meanwhile. Whoever leaves
 *  such a wait leaves the pull to others, and it ends by itself. */
export class ImageWaits {
  readonly #waits = new Map<BotId, () => void>();

  /** What this bot should be may have changed: a wait that is not wanted any more ends. */
  look(bot: BotId): void {
    this.#waits.get(bot)?.();
  }

  /** Waits for `provide`; false when `isWanted` no longer held at a look. @throws what `provide` does */
  async for(bot: BotId, isWanted: () => boolean, provide: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<boolean> {
    const left = new AbortController();
    this.#waits.set(bot, () => {
      if (!isWanted()) left.abort();
    });
    try {
      await provide(AbortSignal.any([signal, left.signal]));
      return true;
    } catch (error) {
      if (left.signal.aborted && !signal.aborted) return false;
      throw error;
    } finally {
      this.#waits.delete(bot);
    }
  }
}
