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

/** For how long mocha may go on after its last test: what still waits then is a leak. */
const lingerMs = 20_000;

/** Mocha's spec reporter, which also leaves its totals in a file, and ends a run that a leak keeps alive. */
class TotalsReporter extends Mocha.reporters.Spec {
  readonly #failed: string[] = [];

  constructor(runner: Mocha.Runner, options: Mocha.MochaOptions) {
    super(runner, options);
    runner.on("fail", (test, error: Error) => {
      this.#failed.push(`${test.fullTitle()}: ${error.message.trim().split("\n")[0] ?? ""}`);
    });
  }

  override done(failures: number, end?: (failures: number) => void): void {
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
