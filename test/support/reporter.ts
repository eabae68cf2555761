import { writeFileSync } from "node:fs";

import Mocha from "mocha";

/** What a mocha run came to; scripts/test reads it from the file that TEST_TOTALS names. */
export interface Totals {
  readonly passes: number;
  readonly failures: number;
  readonly pending: number;
}

/** Mocha's spec reporter, which also leaves its totals in a file. */
class TotalsReporter extends Mocha.reporters.Spec {
  override done(failures: number, end?: (failures: number) => void): void {
    const { passes, pending } = this.stats;
    const file = process.env["TEST_TOTALS"];
    if (file) writeFileSync(file, JSON.stringify({ passes, failures, pending } satisfies Totals));
    end?.(failures);
  }
}

// Mocha requires its reporters, and takes what the module is, not a default export.
export { TotalsReporter as "module.exports" };
