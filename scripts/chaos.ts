// Random faults over a fleet of bots on real parts, then a calm, then the question whether all is as it should be.
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

import { MongoClient } from "mongodb";

import { renderTable } from "../src/cli/table.ts";
import { openCache } from "./lib/cache.ts";
import { ChaosFleet } from "./lib/chaos-fleet.ts";
import { ChaosWorld } from "./lib/chaos-world.ts";
import { connectDocker } from "./lib/find-docker.ts";
import { timedSay, watchInterrupt } from "./lib/interrupt.ts";
import { Chance } from "../test/sim/chance.ts";
import { cleanStaleRuns, openRun } from "./lib/run-dir.ts";

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "1" }, seed: { type: "string" }, help: { type: "boolean" } },
});
if (values.help === true) {
  console.log(
    "Usage: npm run chaos -- [--minutes 1] [--seed N]\n\nExit 0: after the faults every bot is as its document says, and nothing is left over.",
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
const between = (low: number, high: number): number => Math.round(low + random() * (high - low));
const interrupt = watchInterrupt();
const say = timedSay();
const pause = (ms: number): Promise<void> => sleep(ms, undefined, { signal: interrupt });

await cleanStaleRuns(say);
const run = await openRun();
const world = new ChaosWorld({ runDir: run.dir, cacheDir: await openCache(process.env), say });
const fleet = new ChaosFleet(random);
const counts = new Map<string, number>();

/** Each fault mends itself before it returns. */
const faults: Record<string, () => Promise<void>> = {
  "runtime killed": async () => {
    await world.signalRuntime("SIGKILL");
    await pause(between(0, 2_000));
    await world.startRuntime();
  },
  "runtime stopped": async () => {
    await world.signalRuntime("SIGSTOP");
    await pause(between(500, 4_000));
    await world.signalRuntime("SIGCONT");
  },
  "runtime drained": async () => {
    await world.signalRuntime("SIGTERM");
    await world.startRuntime();
  },
  "dockerd stopped": async () => {
    await world.signalDocker("SIGSTOP");
    await pause(between(500, 8_000));
    await world.signalDocker("SIGCONT");
  },
  "dockerd killed": () => world.restartDocker(),
  "MongoDB stopped": async () => {
    world.signalMongo("SIGSTOP");
    await pause(between(500, 12_000));
    world.signalMongo("SIGCONT");
  },
  "MongoDB killed": async () => {
    await world.killMongo();
    await pause(between(0, 3_000));
    await world.startMongo();
  },
  "MongoDB connections dropped": () => failMongo(["find", "update", "insert", "getMore", "aggregate"], { closeConnection: true }),
  // 91: it is shutting down, as in an election. 286: the stream's history is lost; no other cursor of ours is so long that it
  // asks for more.
  "MongoDB refused": () => failMongo(["find", "update", "insert"], { errorCode: 91, errorLabels: ["RetryableWriteError"] }),
  "change streams lost": () => failMongo(["getMore"], { errorCode: 286 }),
  "Docker connections dropped": async () => world.cutDocker(),
  "Docker replies lost": async () => world.loseDockerReplies(between(1, 6)),
  "container killed": () => someContainer(async (c) => c.kill()),
  "container removed": () => someContainer(async (c) => c.remove({ force: true })),
  "documents changed": async () => {
    for (let n = between(1, 6); n > 0; n--) await change();
  },
  "documents stormed": () => withDb((db) => fleet.storm(db, 10)),
};

try {
  say(`seed ${seed}, ${minutes} min; starting an engine, a MongoDB server and a runtime`);
  await world.start();
  for (let n = 0; n < 30; n++) await withDb((db) => fleet.add(db));
  const end = performance.now() + minutes * 60_000;
  while (performance.now() < end) {
    const names = Object.keys(faults);
    const name = names[Math.floor(random() * names.length)] ?? "";
    say(name);
    counts.set(name, (counts.get(name) ?? 0) + 1);
    await faults[name]?.();
    if (world.runtimeHasEnded) {
      // What a supervisor does: a session that was lost, for instance, ends the process by design.
      say("the runtime has ended: starting it again");
      for (const line of await lastLines(3)) say(`  it said: ${line}`);
      counts.set("runtime ended by itself", (counts.get("runtime ended by itself") ?? 0) + 1);
      await world.startRuntime();
    }
    await pause(between(0, 3_000));
  }
  say(`calm: waiting for ${fleet.size} bots to be as their documents say`);
  process.exitCode = await judge();
} catch (error) {
  console.error(error);
  process.exitCode = interrupt.aborted ? 130 : 1;
} finally {
  if (process.exitCode !== 0) console.error((await lastLines(40)).join("\n"));
  await world.stop();
  await run.remove();
}

async function lastLines(count: number): Promise<string[]> {
  const text = await readFile(world.logPath, "utf8").catch(() => "");
  return text.trimEnd().split("\n").slice(-count);
}

async function judge(): Promise<number> {
  const calm = performance.now();
  let open = ["not looked yet"];
  while (open.length > 0 && performance.now() - calm < CALM_MS) {
    await pause(500);
    open = await withDb((db) => fleet.differences(db, world.dockerHost)).catch((error: unknown) => [String(error)]);
  }
  const settledMs = Math.round(performance.now() - calm);
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
  say(
    open.length === 0
      ? `desired = actual ${settledMs} ms after the last fault; seed ${seed}`
      : `${open.length} differences remain; seed ${seed}`,
  );
  return open.length === 0 ? 0 : 1;
}

/** A user's change; while MongoDB is away the user tries again. */
async function change(): Promise<void> {
  await withDb((db) => fleet.change(db));
}

/** The server fails so many of the runtime's commands, and nobody else's, and is well again after a moment: one that still
 *  refuses during the calm would be judged as the runtime's fault. */
async function failMongo(failCommands: readonly string[], fault: Readonly<Record<string, unknown>>): Promise<void> {
  const data = { appName: "bot-runner", failCommands, ...fault };
  const order = (mode: unknown) => withDb((db) => db.admin().command({ configureFailPoint: "failCommand", mode, data }));
  await order({ times: between(1, 20) });
  await pause(between(500, 4_000));
  await order("off");
}

async function withDb<T>(act: (db: ReturnType<MongoClient["db"]>) => Promise<T>): Promise<T> {
  const client = new MongoClient(world.mongoUri, { serverSelectionTimeoutMS: 5_000, socketTimeoutMS: 10_000 });
  try {
    return await act(client.db(world.dbName));
  } finally {
    await client.close();
  }
}

async function someContainer(
  act: (container: ReturnType<ReturnType<typeof connectDocker>["getContainer"]>) => Promise<unknown>,
): Promise<void> {
  const docker = connectDocker(world.dockerHost);
  const all = await docker.listContainers({ filters: { label: ["botrunner.managed=1"] } });
  const one = all[Math.floor(random() * all.length)];
  if (one !== undefined) await act(docker.getContainer(one.Id)).catch(() => {}); // the runtime may have been faster
}
