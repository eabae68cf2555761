import { writeFileSync } from "node:fs";

import Mocha from "mocha";

/** What a mocha run came to; scripts/test reads it from the file that TEST_TOTALS names. */
export interface Totals {
  readonly passes: number;
  readonly failures: number;
  readonly pending: number;
  /** A line for each failure: the test's full title and the first line of why. */
  readonly failed: readonly string[];
}

/** How many of the slowest groups of tests a run names, hooks included: where a suite over its budget is to be mended. */
const slowest = 12;
const deepest = 3;

/** For how long mocha may go on after its last test: what still waits then is a leak. */
const lingerMs = 20_000;

/** Mocha's spec reporter, which also leaves its totals in a file, and ends a run that a leak keeps alive. */
class TotalsReporter extends Mocha.reporters.Spec {
  readonly #failed: string[] = [];
  readonly #began = new Map<Mocha.Suite, number>();
  readonly #took: { readonly title: string; readonly ms: number }[] = [];

  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    runner.on("fail", (test, error: Error) => {
      this.#failed.push(`${test.fullTitle()}: ${error.message.trim().split("\n")[0] ?? ""}`);
    });
    runner.on("suite", (suite) => void this.#began.set(suite, performance.now()));
    runner.on("suite end", (suite) => this.#note(suite));
  }

  #note(suite: Mocha.Suite): void {
    const titles = suite.titlePath();
    if (titles.length === 0 || titles.length > deepest) return;
    this.#took.push({ title: titles.join(" > "), ms: performance.now() - (this.#began.get(suite) ?? 0) });
  }

  override done(failures: number, end?: (failures: number) => void): void {
    for (const { title, ms } of this.#took.toSorted((a, b) => b.ms - a.ms).slice(0, slowest))
      if (ms > 1_000) console.log(`-- ${(ms / 1_000).toFixed(1).padStart(5)} s  ${title}`);
    const { passes, pending } = this.stats;
    const file = process.env["TEST_TOTALS"];
    const totals: Totals = { passes, failures, pending, failed: this.#failed };
    if (file) writeFileSync(file, JSON.stringify(totals));
    end?.(failures);
    setTimeout(endLeak, lingerMs).unref();
  }
}

function endLeak(): void {
  console.error(`A test leaks what keeps the process alive: ${process.getActiveResourcesInfo().join(", ")}`);
  // Mocha's own listener would put the number of failures here, which may be none.
  process.once("exit", () => (process.exitCode = 70));
  process.exit();
}

// Mocha requires its reporters, and takes what the module is, not a default export.
export { TotalsReporter as "module.exports" };
