import type { Clock, MonoMs } from "../../src/core/clock.ts";
import { systemClock } from "../../src/process/clock.ts";

/** The real clock, which a test may push forward. A sleep of a minute or more is over after a second and counts in full. */
export class MovableClock implements Clock {
  #aheadMs = 0;

  push(ms: number): void {
    this.#aheadMs += ms;
  }

  mono(): MonoMs {
    return (systemClock.mono() + this.#aheadMs) as MonoMs;
  }

  wall(): Date {
    return systemClock.wall();
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    const realMs = ms < 60_000 ? ms : 1_000;
    await systemClock.sleep(realMs, signal);
    this.#aheadMs += ms - realMs;
  }
}
