// Measures how late 20 ms timers come on this machine: the rig's own noise, seen by a process that does nothing else.
import { loadavg } from "node:os";

import { quantile } from "./analysis.ts";
import { answerQuestions } from "./companion.ts";

export type Lag = {
  /** Timers that came. */
  readonly count: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** The machine's load average over the last minute. */
  readonly load: number;
};
export type LagAnswers = {
  /** What was measured since the last `lag`; starts anew. */
  readonly lag: Lag;
};

const EVERY_MS = 20;

let lags: number[] = [];

function arm(): void {
  const due = performance.now() + EVERY_MS;
  setTimeout(() => {
    lags.push(Math.max(0, performance.now() - due));
    arm();
  }, EVERY_MS);
}
arm();

answerQuestions<LagAnswers>({
  lag: () => {
    const seen = lags.length > 0 ? lags : [0];
    lags = [];
    return { count: seen.length, p99Ms: quantile(seen, 0.99), maxMs: Math.max(...seen), load: loadavg()[0] ?? 0 };
  },
});
