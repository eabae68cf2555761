// Random faults over a fleet of several workers, two at once as well; then a calm, and the question whether every invariant
// held that can be seen from outside.
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

import { renderTable } from "../src/cli/table.ts";
import { Chance } from "../test/sim/chance.ts";
import { findDuplicates, findUnrun } from "./faults/analysis.ts";
import { FaultFleet } from "./faults/fleet.ts";
import { Observer } from "./faults/observer.ts";
import { fleetFaults, seatFaults, type SoakDeps } from "./faults/soak-faults.ts";
import { openCache } from "./lib/cache.ts";
import { timedSay, watchInterrupt } from "./lib/interrupt.ts";
import { cleanStaleRuns, openRun } from "./lib/run-dir.ts";

const usage = `Usage: npm run soak -- [--minutes 3] [--seed S] [--timings default|ci]

Exit 0: no invariant was broken, every bot ended as its document says, and a drain left nothing. 1: not so. 2: wrong usage.
I9 and I10 need to know what each fault may do; npm run faults checks them row by row.`;

const WORKERS = 4;
const BOTS = 60;
const EVERY_MS = 100;
const SEGMENTS = 16;
const LOOK_MS = 250;
const DRAIN_MS = 120_000;
/** Moves that make the load even go one at a time per worker, and each may wait for images. */
const MOVES_MS = 180_000;
/** Two of three faults come alone. */
const ALONE = 0.65;
/** Of faults to one worker and to all. */
const TO_ONE = 0.75;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "3" },
    seed: { type: "string" },
    timings: { type: "string", default: "default" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}
const minutes = Number(values.minutes);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const profile = values.timings;
if (!(minutes > 0) || !Number.isInteger(seed) || (profile !== "default" && profile !== "ci")) {
  console.error(usage);
  process.exit(2);
}

const chance = new Chance(seed);
const random = chance.next;
const between = (low: number, high: number): number => Math.round(low + random() * (high - low));
const interrupt = watchInterrupt();
const say = timedSay();
const pause = (ms: number): Promise<void> => sleep(ms, undefined, { signal: interrupt });

await cleanStaleRuns(say);
const run = await openRun();
const counts = new Map<string, number>();
const observer = new Observer();
try {
  say(`seed ${seed}, ${minutes} min, timings ${profile}`);
  process.exitCode = await soak(profile);
} catch (error) {
  console.error(error);
  process.exitCode = interrupt.aborted ? 130 : 1;
} finally {
  await run.remove();
}

async function soak(timings: "default" | "ci"): Promise<number> {
  const place = { runDir: run.dir, cacheDir: await openCache(process.env), say };
  const fleet = await FaultFleet.open({
    ...place,
    profile: timings,
    random,
    everyMs: EVERY_MS,
    workers: WORKERS,
    bots: BOTS,
    maxSegment: SEGMENTS,
    fence: "on",
  });
  const watching = new AbortController();
  try {
    await fleet.start();
    const from = fleet.now();
    const watch = observe(fleet, watching.signal);
    await torment(fleet, performance.now() + minutes * 60_000);
    const open = await judge(fleet, from);
    watching.abort();
    await watch;
    open.push(...(await drainAll(fleet)));
    console.log(
      `\n${renderTable(
        ["FAULT", "TIMES"],
        [...counts].toSorted(([a], [b]) => a.localeCompare(b)).map(([name, n]) => [name, String(n)]),
      )}\n`,
    );
    for (const line of open) console.error(`- ${line}`);
    say(
      `${open.length === 0 ? "every invariant held" : `${open.length} findings`}; ${observer.sightings} looks at the books; seed ${seed}`,
    );
    if (open.length > 0)
      for (const seat of fleet.seats)
        console.error(`${seat.name} (ended: ${seat.ends.join(" ")}):\n${(await seat.lastLines(12)).join("\n")}`);
    return open.length === 0 ? 0 : 1;
  } finally {
    watching.abort();
    await fleet.stop();
  }
}

async function torment(fleet: FaultFleet, end: number): Promise<void> {
  const deps: SoakDeps = { fleet, between, pause };
  while (performance.now() < end) {
    const seats = fleet.seats.map((seat) => ({ seat, key: random() })).toSorted((a, b) => a.key - b.key);
    const batch = seats.slice(0, random() < ALONE ? 1 : 2).map(({ seat }, index) => {
      // Only the first may be one to all.
      const all = index > 0 || random() < TO_ONE ? seatFaults : fleetFaults;
      const name = chance.pick(Object.keys(all));
      counts.set(name, (counts.get(name) ?? 0) + 1);
      return { seat, name, act: all[name] };
    });
    say(batch.map(({ seat, name }) => (name in seatFaults ? `${name} (${seat.name})` : name)).join(" and "));
    await Promise.all(batch.map(async ({ seat, act }) => act?.(seat, deps)));
    await pause(between(0, 8_000));
  }
}

async function observe(fleet: FaultFleet, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const askedAt = fleet.now();
    const seen = await Promise.all([fleet.books(), fleet.placements()]).catch(
      () => undefined, // MongoDB is stopped now and then
    );
    if (seen !== undefined) observer.see({ ...seen[0], placements: seen[1], askedAt, answeredAt: fleet.now() });
    await sleep(LOOK_MS);
  }
}

/** I1, I3, I6, I8 and what the observer has seen. */
async function judge(fleet: FaultFleet, from: number): Promise<string[]> {
  const { bounds } = fleet;
  const calm = performance.now();
  say(`calm: waiting for ${BOTS} bots to be as their documents say`);
  // I8 says 30 s where L is 10 s.
  const limitMs = 30_000 * bounds.factor + (bounds.timings.endMs - 10_000 * bounds.factor);
  const open: string[] = [];
  const expect = (ms: number, but?: "moves"): Promise<unknown> =>
    fleet.waitSettled(ms, but).catch((error: unknown) => open.push(`I8: ${error instanceof Error ? error.message : String(error)}`));
  await expect(limitMs, "moves");
  say(`desired = actual after ${Math.round(performance.now() - calm)} ms, of ${limitMs}`);
  await expect(MOVES_MS);
  say(`no move is left after ${Math.round(performance.now() - calm)} ms`);
  const runs = await fleet.runs();
  for (const { bot, from: a, to: b } of findDuplicates(runs)) open.push(`I1: ${bot} ran twice for ${(b - a).toFixed(3)} ms`);
  observer.judgeStarts(runs);
  open.push(...observer.breaches);
  const steady = fleet.bots.filter((bot) => !fleet.everDisabled.has(bot));
  const gaps = findUnrun(runs, steady, { from, to: fleet.now() }).map((gap) => ({ ...gap, ms: gap.to - gap.from }));
  const worst = gaps.toSorted((a, b) => b.ms - a.ms)[0];
  // Two faults at once, and a fault in the recovery from the one before: three in a row is more than this plays.
  const boundMs = 2 * bounds.sessionEndMs(BOTS / WORKERS) + 2 * bounds.timings.endMs;
  say(`longest time without a run: ${Math.round(worst?.ms ?? 0)} ms (${worst?.bot ?? "none"})`);
  if (worst !== undefined && worst.ms > boundMs)
    open.push(`I6: ${worst.bot} did not run for ${Math.round(worst.ms)} ms, expected at most ${boundMs}`);
  return open;
}

/** Everybody is told to end: nobody is left to take over, and all the same everything must be stopped and released. */
async function drainAll(fleet: FaultFleet): Promise<string[]> {
  say("draining every worker at once");
  const open: string[] = [];
  const ends = await Promise.all(
    fleet.seats.map(async ({ name, runtime }) => {
      runtime.hold();
      runtime.signal("SIGTERM");
      const late = setTimeout(() => runtime.signal("SIGKILL"), DRAIN_MS);
      const how = await runtime.ended();
      clearTimeout(late);
      return { name, how };
    }),
  );
  for (const { name, how } of ends) if (how !== 0) open.push(`drain: ${name} ended with ${how}, expected 0`);
  for (const { seat, bot, state } of await fleet.containers())
    open.push(`drain: a container of ${bot} is ${state} at ${seat}, expected none`);
  const { segments } = await fleet.books();
  for (const { _id, state } of segments) if (state !== "free") open.push(`drain: segment ${_id} is ${state}, expected free`);
  const now = fleet.now();
  for (const { bot, last } of await fleet.runs()) if (now - last < 3 * EVERY_MS) open.push(`drain: ${bot} still sends`);
  return open;
}
