// Real faults on real parts: what they do to bots that say every 20 ms that they run.
import { availableParallelism } from "node:os";

import { Chance } from "../test/sim/chance.ts";
import { type ControlResult, runControl } from "./faults/control.ts";
import { FaultFleet } from "./faults/fleet.ts";
import { Measured } from "./faults/measured.ts";
import { readRunOptions } from "./faults/options.ts";
import { writePart } from "./faults/page.ts";
import { planFull, planShort } from "./faults/plan.ts";
import { renderPage } from "./faults/report.ts";
import { playRound } from "./faults/rounds.ts";
import { rows } from "./faults/rows.ts";
import { openCache, type Place } from "./lib/cache.ts";
import { timedSay, watchInterrupt } from "./lib/interrupt.ts";
import { cleanStaleRuns, openRun } from "./lib/run-dir.ts";

const usage = `Usage: npm run faults -- [options]

  --timings default|ci  the protocol's timings; ci doubles them and their bounds (default: ci)
  --rows 1,4,18         only these rows of the table
  --n N                 occurrences of each row (default: as published)
  --short               each quick row once and a selection of the long ones, in less than 6 minutes
  --no-control          without the positive control
  --seed S              chooses victims (default: from the clock)
  --json FILE           every case as JSON
  --page FILE           the page (default: docs/faults.md after a whole run with --timings default)
  --from A.json,B.json  plays nothing: judges and tells what earlier runs have saved

Exit 0: no duplicate, every bound kept, and the positive control has seen duplicates. 1: not so. 2: wrong usage.`;

const WORKERS = 5;
const BOTS = 12;
const EVERY_MS = 20;
const SEGMENTS = 8;

const options = readRunOptions(
  usage,
  rows.map(({ number }) => number),
);
const interrupt = watchInterrupt();
const say = timedSay();
const measured = new Measured(options, say, interrupt);
const random = new Chance(options.seed).next;

await cleanStaleRuns(say);
const main = await openRun();
const side = await openRun();
const cacheDir = await openCache(process.env);
try {
  say(`seed ${options.seed}, timings ${options.timings}`);
  await (options.from === undefined ? measure() : measured.recall(options.from));
  process.exitCode = await tellAll();
} catch (error) {
  console.error(error);
  process.exitCode = interrupt.aborted ? 130 : 1;
} finally {
  await main.remove();
  await side.remove();
}

async function measure(): Promise<void> {
  const place = (runDir: string): Place => ({ runDir, cacheDir, say });
  const control = async (): Promise<readonly ControlResult[]> => {
    if (!options.control) return [];
    const told = { ...place(side.dir), say: (line: string) => say(`control: ${line}`) };
    return runControl(told, { profile: options.timings, random });
  };
  // The gate has no time to do one after the other.
  const early = options.isShort ? control() : undefined;
  early?.catch(() => undefined); // waited for below
  await playAll(place(main.dir));
  if (interrupt.aborted) return say("interrupted: this is what was measured until then");
  if (options.control) say("positive control: rows 4 and 8 without the fence");
  measured.control = await (early ?? control());
  await measured.save();
}

async function tellAll(): Promise<number> {
  const { reports, exitCode } = measured.tell(rows);
  const { control, figures, minutes, page } = measured;
  const setting = { profile: options.timings, workers: WORKERS, bots: BOTS, everyMs: EVERY_MS, cores: availableParallelism(), minutes };
  if (page !== undefined) await writePart(page, "processes", renderPage({ reports, control, ...figures, ...setting }));
  return exitCode;
}

async function playAll(place: Place): Promise<void> {
  const wanted = rows.filter(({ number }) => options.rows?.includes(number) ?? true);
  const plan = options.isShort ? planShort(wanted, options.seed) : planFull(wanted, options.n);
  if (plan.length === 0) return;
  const shape = { workers: WORKERS, bots: BOTS, everyMs: EVERY_MS, maxSegment: SEGMENTS, fence: "on" } as const;
  const fleet = await FaultFleet.open({ ...place, ...shape, profile: options.timings, random });
  try {
    await fleet.start();
    await measured.play({
      plan,
      play: (batch, variant) => playRound(batch, variant, { fleet, isShort: options.isShort, random }),
      figures: () => fleet.hub.sink.ask("figures"),
    });
  } catch (error) {
    for (const seat of fleet.seats)
      console.error(`${seat.name} (ended: ${seat.ends.join(" ")}):\n${(await seat.lastLines(15)).join("\n")}`);
    throw error;
  } finally {
    say("stopping the fleet");
    await fleet.stop();
  }
}
