// Random faults over a fleet of bots on real parts, then a calm, then the question whether all is as it should be.
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

import { renderTable } from "../src/cli/table.ts";
import { openCache } from "./lib/cache.ts";
import { chaosFaults } from "./lib/chaos-faults.ts";
import { ChaosFleet } from "./lib/chaos-fleet.ts";
import { ChaosWorld } from "./lib/chaos-world.ts";
import { connectDocker } from "./lib/find-docker.ts";
import { timedSay, watchInterrupt } from "./lib/interrupt.ts";
import { Chance } from "../test/sim/chance.ts";
import { cleanStaleRuns, openRun } from "./lib/run-dir.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    seed: { type: "string" },
    only: { type: "string", default: "" },
    help: { type: "boolean" },
  },
});
if (values.help === true) {
  console.log(
    "Usage: npm run chaos -- [--minutes 1] [--seed N] [--only REGEX]\n\n" +
      "--only takes those faults alone whose names it is found in.\n" +
      "Exit 0: after the faults every bot is as its document says, and nothing is left over.",
  );
  process.exit(0);
}
const minutes = Number(values.minutes);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
if (!(minutes > 0) || !Number.isInteger(seed)) {
  console.error(`--minutes must be a positive number and --seed a whole one, got "${values.minutes}" and "${values.seed}"`);
  process.exit(2);
}
/** How long the fleet may take to settle after the last fault, in ms. Generous: back-off of a crasher may last minutes. */
const CALM_MS = 90_000;

/** The same seed gives the same chaos, as far as timing lets it. */
const random = new Chance(seed).next;
const interrupt = watchInterrupt();
const say = timedSay();
const pause = (ms: number): Promise<void> => sleep(ms, undefined, { signal: interrupt });

await cleanStaleRuns(say);
const run = await openRun();
const world = new ChaosWorld({ runDir: run.dir, cacheDir: await openCache(process.env), say });
const fleet = new ChaosFleet(random, (tag) => world.registry.imageOf(tag));
const counts = new Map<string, number>();
const count = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);
const all = Object.entries(chaosFaults({ world, fleet, random, pause, say, count }));
const faults = all.filter(([name]) => new RegExp(values.only, "i").test(name));
if (faults.length === 0) {
  console.error(`--only must be found in the name of a fault, got "${values.only}"; there are: ${all.map(([name]) => name).join(", ")}`);
  process.exit(2);
}
for (const [name] of faults) counts.set(name, 0);

try {
  say(`seed ${seed}, ${minutes} min; starting an engine, a registry, a MongoDB server and a runtime`);
  await world.start();
  for (let n = 0; n < 30; n++) await world.withDb((db) => fleet.add(db));
  const end = performance.now() + minutes * 60_000;
  /** Each fault comes once before any comes twice: a short run meets most of them. */
  const bag: (typeof faults)[number][] = [];
  while (performance.now() < end) {
    if (bag.length === 0) bag.push(...faults);
    const [[name, strike] = faults[0]!] = bag.splice(Math.floor(random() * bag.length), 1);
    say(name);
    count(name);
    await strike();
    if (world.runtimeHasEnded) {
      // What a supervisor does: a session that was lost, for instance, ends the process by design.
      say("the runtime has ended: starting it again");
      for (const line of (await logLines()).slice(-3)) say(`  it said: ${line}`);
      count("runtime ended by itself");
      await world.startRuntime();
    }
    await pause(random() * 3_000);
  }
  say(`calm: waiting for ${fleet.size} bots to be as their documents say`);
  process.exitCode = await judge();
} catch (error) {
  console.error(error);
  process.exitCode = interrupt.aborted ? 130 : 1;
} finally {
  if (process.exitCode !== 0) console.error((await logLines()).slice(-40).join("\n"));
  await world.stop();
  await run.remove();
}

async function logLines(): Promise<string[]> {
  return (await readFile(world.logPath, "utf8").catch(() => "")).trimEnd().split("\n");
}

async function judge(): Promise<number> {
  const calm = performance.now();
  let open = ["not looked yet"];
  while (open.length > 0 && performance.now() - calm < CALM_MS) {
    await pause(500);
    open = await world.withDb((db) => fleet.differences(db, world.dockerHost)).catch((error: unknown) => [String(error)]);
    if (!world.runtimeHasLooked) open.push("runtime: has not looked at what runs since it was started last");
  }
  const settledMs = Math.round(performance.now() - calm);
  // Before the drain says something of every bot: the reason of a difference lies here.
  const story = open.length === 0 ? [] : tell(open, await logLines());
  const code = await world.signalRuntime("SIGTERM");
  const left = await connectDocker(world.dockerHost).listContainers({ all: true, filters: { label: ["botrunner.managed=1"] } });
  if (code !== 0) open.push(`runtime: ended with ${code ?? "a signal"} after SIGTERM, expected 0`);
  for (const { Names, State } of left) open.push(`${Names[0]}: ${State} after the drain, expected nothing`);
  console.log(
    `\n${renderTable(
      ["FAULT", "TIMES"],
      [...counts].toSorted(([a], [b]) => a.localeCompare(b)).map(([name, n]) => [name, String(n)]),
    )}`,
  );
  for (const line of open) console.error(`- ${line}`);
  for (const line of story) console.error(`  it said: ${line}`);
  say(
    open.length === 0
      ? `desired = actual ${settledMs} ms after the last fault; seed ${seed}`
      : `${open.length} differences remain; seed ${seed}`,
  );
  return open.length === 0 ? 0 : 1;
}

/** What the runtime last said of the bots that differ, and of its stores. */
function tell(open: readonly string[], lines: readonly string[]): string[] {
  const bots = new Set(open.map((line) => line.split(":")[0]));
  const told = [...bots].flatMap((bot) => lines.filter((line) => line.includes(`bot=${bot} `)).slice(-3));
  return [...lines.filter((line) => / (?:WARN|ERROR) |In touch again/.test(line)).slice(-20), ...told];
}
