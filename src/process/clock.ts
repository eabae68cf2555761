import { setTimeout as delay } from "node:timers/promises";
import type { Clock, MonoMs } from "../core/clock.ts";

/** The machine's clock. Monotonic; counting time in suspend (CLOCK_BOOTTIME) comes with the fence, behind this port. */
export const systemClock: Clock = {
  mono: () => performance.now() as MonoMs,
  wall: () => new Date(),
  async sleep(ms, signal) {
    signal.throwIfAborted();
    try {
      await delay(ms, undefined, { signal });
    } catch (error) {
      // Node rejects with an AbortError of its own and keeps the reason as its cause; our callers compare reasons.
      signal.throwIfAborted();
      throw error;
    }
  },
};
