import { existsSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { Clock, MonoMs } from "../core/clock.ts";

/** Time since boot, suspend included (CLOCK_BOOTTIME), in seconds with two decimals. Node's own clocks stand still while
 *  the machine sleeps, and then a lease that ran out would look fresh. */
const UPTIME = "/proc/uptime";

/** The machine's clock. Resolution 10 ms; all containers of one kernel read the same time. Where there is no /proc it is
 *  Node's monotonic clock, which is right as long as nobody closes the lid. */
export const systemClock: Clock = {
  mono: existsSync(UPTIME) ? uptimeMs : () => performance.now() as MonoMs,
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

/** @throws {RangeError} when the kernel's answer is no number: no other clock could go on from where this one stopped */
function uptimeMs(): MonoMs {
  const seconds = Number.parseFloat(readFileSync(UPTIME, "latin1"));
  if (!Number.isFinite(seconds)) throw new RangeError(`Cannot read the time since boot from "${UPTIME}"`);
  return (seconds * 1_000) as MonoMs;
}
