import type { Say } from "../lib/cache.ts";
import type { CaseResult } from "./rounds.ts";

/** One case, as soon as it is measured. */
export function tellCase(c: CaseResult, say: Say): void {
  const also = Object.entries(c.also).map(([what, ms]) => `, ${what} ${Math.round(ms)}`);
  const unrun = `unrun ${Math.round(c.unrunMs[0] ?? 0)} of ${Math.round(c.boundMs)} ms`;
  const machine = `lag ${Math.round(c.lag.p99Ms)} ms, load ${c.lag.load}`;
  say(`  ${c.verdict}: row ${c.row}, ${c.bots} bots, duplicates ${Math.ceil(c.duplicateMs)} ms, ${unrun}, ${machine}${also.join("")}`);
  for (const fault of c.faults) say(`    ${fault}`);
}

/** Those that did not pass, at the end. */
export function tellFailed(cases: readonly CaseResult[]): void {
  for (const { row, verdict, faults, unrunMs, boundMs, duplicateMs } of cases) {
    if (verdict === "pass") continue;
    const figures = `unrun ${Math.round(unrunMs[0] ?? 0)} of ${Math.round(boundMs)} ms, duplicates ${Math.ceil(duplicateMs)} ms`;
    console.error(`- row ${row} ${verdict}: ${figures}. ${faults.join("; ")}`);
  }
}
