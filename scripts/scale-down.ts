// Scale-downs by the victims that are idle: bots are taken from workers at random, so that idle and busy pods lie between each other
// by age and on both nodes, and whoever is left must not notice.
import { parseArgs } from "node:util";

import { renderTable } from "../src/cli/table.ts";
import { Chance } from "../test/sim/chance.ts";
import { ClusterFleet } from "./lib/cluster/fleet.ts";
import type { Pod } from "./lib/cluster/pods.ts";
import { namesInSegments, type Release } from "./lib/cluster/product.ts";
import { chartValues } from "./lib/cluster/values.ts";
import { timedSay, watchInterrupt } from "./lib/interrupt.ts";
import { cleanStaleRuns } from "./lib/run-dir.ts";

const usage = `Usage: npm run scale-down -- [--runs 20] [--seed S]

Exit 0: no busy pod ended and no bot that stayed began anew, in any run. 1: not so. 2: wrong usage.
Needs what scripts/cluster needs: root, and the images and programs that it builds once.`;

/** With the leader's pod as many Engines as this machine carries. */
const BOTS = 5;
const LIMIT_MS = 180_000;

const { values } = parseArgs({
  options: { runs: { type: "string", default: "20" }, seed: { type: "string" }, help: { type: "boolean", default: false } },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}
const runs = Number(values.runs);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
if (!Number.isInteger(runs) || runs < 1 || !Number.isInteger(seed)) {
  console.error(usage);
  process.exit(2);
}

const chance = new Chance(seed);
const interrupt = watchInterrupt();
const say = timedSay();
const bots = namesInSegments(BOTS);
/** Per run: idle pods among the busy ones by age ("." idle, "#" busy, "L" leads), what ended, and what was wrong. */
const table: string[][] = [];

await cleanStaleRuns(say);
say(`seed ${seed}, ${runs} runs`);
const fleet = await ClusterFleet.up({ say });
const release = fleet.release({ namespace: "scale-down", values: chartValues() });
let wrong = 0;
try {
  await release.bots.insertMany(bots.map((id) => fleet.document(id)));
  await release.install();
  for (let run = 1; run <= runs && !interrupt.aborted; run++) {
    await settle(release);
    const faults = await shrink(release, run);
    wrong += faults.length;
    for (const fault of faults) say(`run ${run}: ${fault}`);
  }
  const duplicates = await fleet.duplicates();
  wrong += duplicates.length;
  for (const line of duplicates) say(line);
} finally {
  await release.close();
  await fleet.down();
}
console.log(`\n${renderTable(["run", "pods, oldest first", "nodes", "idle", "ended", "busy ended", "bots begun anew"], table)}\n`);
say(`${table.length} scale-downs, ${wrong} faults; seed ${seed}`);
process.exitCode = interrupt.aborted ? 130 : wrong > 0 || table.length < runs ? 1 : 0;

/** A worker for each bot. */
async function settle(on: Release): Promise<void> {
  await on.bots.updateMany({}, { $set: { enabled: true } });
  await on.awaitPods(BOTS + 1, LIMIT_MS);
  await on.awaitSpread(bots, LIMIT_MS);
  await fleet.heard(bots);
}

/** Takes some bots away and waits until their pods have gone. @returns what was wrong */
async function shrink(on: Release, run: number): Promise<string[]> {
  const before = await on.pods();
  const leader = await on.leader();
  const states = await on.states();
  const chosen = bots.filter(() => chance.is(0.5));
  // The bounds keep two workers, and somebody has to go.
  const stay = chosen.length < 2 ? bots.slice(0, 2) : chosen.slice(0, BOTS - 1);
  const gone = bots.filter((bot) => !stay.includes(bot));
  const busy = new Set(stay.map((bot) => states.get(bot)?.worker));
  const lives = await fleet.newest(stay);
  await on.bots.updateMany({ _id: { $in: gone } }, { $set: { enabled: false } });
  const after = await on.awaitPods(stay.length + 1, LIMIT_MS);
  const ended = before.filter(({ uid }) => after.every((pod) => pod.uid !== uid));
  const busyEnded = ended.filter(({ name }) => busy.has(name));
  const now = await on.states();
  const moved = stay.filter((bot) => now.get(bot)?.container !== states.get(bot)?.container);
  const begun = [...(await fleet.newest(stay))].filter(([bot, life]) => life.run !== lives.get(bot)?.run || life.ended);
  const anew = new Set([...moved, ...begun.map(([bot]) => bot)]);
  const mark = ({ name }: Pod) => (name === leader.name ? "L" : busy.has(name) ? "#" : ".");
  table.push([
    String(run),
    before.toSorted(byAge).map(mark).join(""),
    before
      .toSorted(byAge)
      .map(({ node }) => node.replace(/\D/g, ""))
      .join(""),
    String(gone.length),
    String(ended.length),
    String(busyEnded.length),
    String(anew.size),
  ]);
  say(`${run}/${runs} ${gone.length} of ${BOTS} workers idle: ${ended.length} pods ended, ${busyEnded.length} of them busy`);
  return [...busyEnded.map(({ name }) => `the busy pod ${name} ended`), ...[...anew].map((bot) => `${bot} began anew`)];
}

function byAge(a: Pod, b: Pod): number {
  return a.createdAt - b.createdAt;
}
