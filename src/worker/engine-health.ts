import type { Clock, MonoMs } from "../core/clock.ts";
import type { WorkerBus } from "./events.ts";
import type { Lifeline } from "./lifeline.ts";

/** A list comes at least every 10 s and may take as long: after twice that the Engine is silent. Source: ownership.md
 *  "Worker", 10 s beyond what is usual. */
const SILENT_MS = 20_000;
const LOOK_MS = 100;

export type EngineHealthOptions = {
  readonly clock: Clock;
  readonly lifeline: Pick<Lifeline, "isDegraded">;
  readonly bus: WorkerBus;
  /** The Engine is called silent from now on. */
  readonly onSilent: () => void;
};

/** A Docker Engine that is silent for long is told to the leader: running bots stay, new segments had better go elsewhere. */
export class EngineHealth {
  readonly #options: EngineHealthOptions;
  /** When it answered last; it has from the start until then to come up. */
  #seenAt: MonoMs;
  #isDegraded = false;

  constructor(options: EngineHealthOptions) {
    this.#options = options;
    this.#seenAt = options.clock.mono();
  }

  /** The Engine has answered just now. */
  seen(): void {
    this.#seenAt = this.#options.clock.mono();
  }

  /** Judges until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      this.#judge();
      await clock.sleep(LOOK_MS, signal).catch(() => {});
    }
  }

  #judge(): void {
    const { clock, lifeline, bus, onSilent } = this.#options;
    const silentMs = clock.mono() - this.#seenAt;
    if (this.#isDegraded === silentMs > SILENT_MS) return;
    this.#isDegraded = !this.#isDegraded;
    lifeline.isDegraded = this.#isDegraded;
    bus.emit(this.#isDegraded ? "engine:silent" : "engine:back", { silentMs });
    if (this.#isDegraded) onSilent();
  }
}
