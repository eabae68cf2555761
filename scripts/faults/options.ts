// What `npm run faults` and `npm run faults:cluster` can be told.
import { parseArgs } from "node:util";

import type { Profile } from "./bounds.ts";

export type RunOptions = {
  readonly timings: Profile;
  readonly rows: readonly string[] | undefined;
  readonly n: number | undefined;
  readonly seed: number;
  readonly isShort: boolean;
  readonly control: boolean;
  readonly json: string | undefined;
  readonly page: string | undefined;
  readonly logs: string | undefined;
  readonly from: readonly string[] | undefined;
};

/** `numbers`: of the rows that there are. Ends the process where help was asked for, or with 2 and a word on what was wrong. */
export function readRunOptions(usage: string, numbers: readonly string[]): RunOptions {
  try {
    const { values } = parseArgs({
      options: {
        timings: { type: "string", default: "ci" },
        rows: { type: "string" },
        n: { type: "string" },
        short: { type: "boolean", default: false },
        "no-control": { type: "boolean", default: false },
        seed: { type: "string" },
        json: { type: "string" },
        page: { type: "string" },
        logs: { type: "string" },
        from: { type: "string" },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) {
      console.log(usage);
      process.exit(0);
    }
    const { timings, json, page, logs } = values;
    if (timings !== "default" && timings !== "ci") throw new RangeError(`--timings must be default or ci, got "${timings}"`);
    if (logs !== undefined && !usage.includes("--logs")) throw new RangeError("--logs: only faults:cluster has logs to keep");
    const rows = values.rows?.split(",");
    for (const number of rows ?? []) if (!numbers.includes(number)) throw new RangeError(`--rows: there is no row "${number}"`);
    const n = values.n === undefined ? undefined : Number(values.n);
    const seed = Number(values.seed ?? Date.now() % 1_000_000);
    if (n !== undefined && !(Number.isInteger(n) && n > 0)) throw new RangeError(`--n must be a whole number above 0, got "${values.n}"`);
    if (!Number.isInteger(seed) || seed < 0) throw new RangeError(`--seed must be a whole number, got "${values.seed}"`);
    const files = { json, page, logs, from: values.from?.split(",") };
    return { timings, rows, n, seed, isShort: values.short, control: !values["no-control"], ...files };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    process.exit(2);
  }
}

/** Whether a run is what is published: nothing left out, in the timings of a production fleet, and played now. */
export function isWholeRun({ timings, rows, n, isShort, from }: RunOptions): boolean {
  return timings === "default" && rows === undefined && n === undefined && !isShort && from === undefined;
}
