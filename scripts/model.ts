// The protocol in all its interleavings within stated bounds: npm run model
import { parseArgs } from "node:util";

import { type Bounds, type ConfigurationName, CONFIGURATIONS } from "../test/model/bounds.ts";
import { search } from "../test/model/search.ts";

const NAMES = Object.keys(CONFIGURATIONS) as ConfigurationName[];
const BUDGETS = ["horizon", "deaths", "faults", "late", "moves", "epochs", "elections"] as const;
const { values } = parseArgs({
  options: {
    only: { type: "string" },
    most: { type: "string", default: "20000000" },
    quiet: { type: "boolean" },
    help: { type: "boolean" },
    ...Object.fromEntries(BUDGETS.map((name) => [name, { type: "string" } as const])),
  },
});
if (values.help === true) {
  console.log(`Usage: npm run model -- [--only ${NAMES.join("|")}] [${BUDGETS.map((name) => `--${name} N`).join("] [")}] [--most STATES] [--quiet]

Visits every state of two workers, two leaders, one segment and one bot that the bounds allow, and checks the invariants of
ownership.md at each step. Exit 0: all were visited and none was broken. Exit 1: one was broken (the earliest way to it is
printed), or there were more than --most states. docs/proofs.md says what is modelled.`);
  process.exit(0);
}

const fail = (message: string): never => {
  console.error(message);
  process.exit(2);
};
const given = values as Readonly<Record<string, string | boolean | undefined>>;
const numbers = Object.fromEntries(
  BUDGETS.flatMap((name) => {
    const n = given[name];
    if (n === undefined) return [];
    return Number.isInteger(Number(n)) && Number(n) >= 0 ? [[name, Number(n)]] : fail(`--${name} must be a whole number of 0 or more`);
  }),
);
const only = NAMES.filter((name) => values.only === undefined || values.only === name);
if (only.length === 0) fail(`--only must be one of ${NAMES.join(", ")}`);

for (const name of only) {
  const bounds: Bounds = { ...CONFIGURATIONS[name], ...numbers };
  const { timings, ...budgets } = bounds;
  const say = (of: object): string =>
    Object.entries(of)
      .map(([key, value]) => `${key} ${String(value)}`)
      .join(", ");
  console.log(`${name}: 2 workers, 2 leaders, 1 segment, 1 bot; ${say(budgets)}; ${say(timings)}`);
  const began = performance.now();
  const found = search(bounds, Number(values.most), (at, states) => {
    if (values.quiet !== true) console.log(`  tick ${at}: ${states} states, ${Math.round((performance.now() - began) / 1_000)} s`);
  });
  const seconds = (performance.now() - began) / 1_000;
  const { states, transitions, depth, isWhole, broken } = found;
  console.log(
    `${name}: ${states} states, ${transitions} transitions, depth ${depth}, ${seconds.toFixed(1)} s, ` +
      `${Math.round(states / seconds)} states/s, ${Math.round(process.memoryUsage().rss / 2 ** 20)} MiB`,
  );
  if (broken !== undefined) {
    console.error(`${name}: ${broken.how.invariant} is broken: ${broken.how.why}`);
    for (const { at, what } of broken.trace) console.error(`  t=${String(at).padStart(2)}  ${what}`);
  } else if (!isWhole) console.error(`${name}: there are more than ${values.most} states: not all were visited`);
  if (!isWhole) process.exitCode = 1;
}
