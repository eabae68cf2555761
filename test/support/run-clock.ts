import { setTimeout as delay } from "node:timers/promises";
import type { FakeClock } from "./fake-clock.ts";

/** Keeps a hand-driven clock going: by `stepMs` at a time, with a moment of real time between for what comes over sockets.
 *  Without a step it keeps pace with real time. */
export function runClock(clock: FakeClock, stepMs?: number): AsyncDisposable {
  const over = new AbortController();
  const run = async (): Promise<void> => {
    for (let last = performance.now(); !over.signal.aborted;) {
      await delay(stepMs === undefined ? 20 : 2);
      const now = performance.now();
      await clock.advance(stepMs ?? now - last);
      last = now;
    }
  };
  const running = run();
  return {
    async [Symbol.asyncDispose]() {
      over.abort();
      await running;
    },
  };
}
