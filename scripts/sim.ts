// The protocol in virtual time, under random faults: npm run sim -- --seeds 20000
import { parseArgs } from "node:util";

import { Coverage } from "../test/sim/coverage.ts";
import { coverageTable, neverSeen } from "../test/sim/expected.ts";
import { perform, playOf } from "../test/sim/play.ts";
import { shrink, timeline } from "../test/sim/shrink.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "0" },
    tell: { type: "string" },
    help: { type: "boolean" },
  },
});
if (values.help === true) {
  console.log(`Usage: npm run sim -- [--seeds 1000] [--from 0] [--tell SEED]

Plays eleven virtual minutes of a fleet for each seed and checks the invariants of ownership.md after every step.
Exit 0: none was broken, and every fault, every pair of them and every outcome was seen. --tell prints one seed's timeline.`);
  process.exit(0);
}
const [seeds, from, tell] = [Number(values.seeds), Number(values.from), values.tell === undefined ? undefined : Number(values.tell)];
for (const [name, n] of [
  ["seeds", seeds],
  ["from", from],
  ["tell", tell ?? 0],
] as const)
  if (!Number.isInteger(n) || n < 0) {
    console.error(`--${name} must be a whole number of 0 or more`);
    process.exit(2);
  }

/** With fewer seeds not every rare outcome can be expected. */
const ENOUGH = 1_000;
const TELL_EVERY_MS = 10_000;
const MAX_TOLD = 3;

if (tell !== undefined) {
  const ending = perform(playOf(tell), new Coverage(), { isTold: true });
  console.log(timeline(ending));
  process.exit(ending.violation === undefined ? 0 : 1);
}

const coverage = new Coverage();
const broken: number[] = [];
const began = performance.now();
let events = 0;
let fewest = Infinity;
let told = began;
for (let seed = from; seed < from + seeds; seed++) {
  const ending = perform(playOf(seed), coverage);
  events += ending.events;
  if (ending.violation === undefined) fewest = Math.min(fewest, ending.events);
  else {
    broken.push(seed);
    if (broken.length <= MAX_TOLD) console.error(`\n${timeline(shrink(ending))}\n`);
  }
  if (performance.now() - told > TELL_EVERY_MS) {
    told = performance.now();
    console.log(`${seed - from + 1} of ${seeds} seeds, ${broken.length} broken`);
  }
}
const seconds = (performance.now() - began) / 1_000;
console.log(coverageTable(coverage));
const missing = seeds >= ENOUGH ? neverSeen(coverage) : [];
for (const what of missing) console.error(`never seen: ${what}`);
for (const seed of broken) console.error(`broken: seed ${seed} (npm run sim -- --tell ${seed})`);
console.log(
  `${seeds} seeds from ${from} in ${seconds.toFixed(1)} s on one core: ${(seeds / seconds).toFixed(1)} seeds/s, ` +
    `${Math.round(events / seeds)} events a seed (fewest ${fewest}), ${broken.length} broken, ${missing.length} never seen`,
);
process.exitCode = broken.length + missing.length > 0 ? 1 : 0;
