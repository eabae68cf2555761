import type { Clock } from "../core/clock.ts";
import type { BotId } from "../core/ids.ts";
import type { WorkerBus } from "./events.ts";
import type { Lifeline } from "./lifeline.ts";

/** How often it is looked whether the right to run bots has come or gone, in ms. */
const LOOK_MS = 100;

export type RightWatchOptions = {
  readonly lifeline: Pick<Lifeline, "right">;
  readonly clock: Clock;
  readonly bus: WorkerBus;
  /** Whether the fence is there and sees the same time as we do; absent where there is none. */
  readonly isFenceSteady: (() => boolean) | undefined;
  /** The right to run bots has ended, or is back. */
  readonly onTurn: (mayRun: boolean) => void;
  /** These bots were refused a start, and may have it now. */
  readonly onGranted: (bots: ReadonlySet<BotId>) => void;
};

/** By what right bots run here: bots are stopped when it ends, before the fence does it, and go on when it is back. */
export class RightWatch {
  readonly #options: RightWatchOptions;
  /** Bots whose start had to wait for the right to it. */
  readonly #refused = new Set<BotId>();

  constructor(options: RightWatchOptions) {
    this.#options = options;
  }

  /** Whether a start may begin. A bot that is refused is told of again once it may. */
  mayStart(bot: BotId): boolean {
    const may = this.#mayStart();
    if (!may) this.#refused.add(bot);
    return may;
  }

  /** Follows the right until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, lifeline, bus, onTurn, onGranted } = this.#options;
    let mayRun = true;
    while (!signal.aborted) {
      if (mayRun !== (lifeline.right() !== "stop")) {
        mayRun = !mayRun;
        onTurn(mayRun);
        bus.emit(mayRun ? "right:back" : "right:over");
      }
      if (this.#refused.size > 0 && this.#mayStart()) {
        onGranted(this.#refused);
        this.#refused.clear();
      }
      await clock.sleep(LOOK_MS, signal).catch(() => {});
    }
  }

  /** Not while the fence's clock is not ours: it would judge by another time than we do. */
  #mayStart(): boolean {
    const { lifeline, isFenceSteady } = this.#options;
    return lifeline.right() === "start" && isFenceSteady?.() !== false;
  }
}
