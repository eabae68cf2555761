// Real faults on real parts: what they do to bots that say every 20 ms that they run.
import { readFile, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";

import { Chance } from "../test/sim/chance.ts";
import { type ControlResult, judgeControl, runControl } from "./faults/control.ts";
import { FaultFleet } from "./faults/fleet.ts";
import { faultsPage, writePart } from "./faults/page.ts";
import { planFull, planShort } from "./faults/plan.ts";
import { renderPage, renderReport, reportRow } from "./faults/report.ts";
import { type CaseResult, playRound } from "./faults/rounds.ts";
import { rows } from "./faults/rows.ts";
import { tellCase, tellFailed } from "./faults/tell.ts";
import { tally } from "./faults/verdict.ts";
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

const options = readOptions();
/** Of the runs that are told again. */
let minutesBefore = 0;
const interrupt = watchInterrupt();
const began = performance.now();
const say = timedSay();
const random = new Chance(options.seed).next;

await cleanStaleRuns(say);
const main = await openRun();
const side = await openRun();
const cacheDir = await openCache(process.env);
try {
  say(`seed ${options.seed}, timings ${options.timings}`);
  process.exitCode = options.from === undefined ? await measure() : await retell(options.from);
} catch (error) {
  console.error(error);
  process.exitCode = interrupt.aborted ? 130 : 1;
} finally {
  await main.remove();
  await side.remove();
}

async function measure(): Promise<number> {
  const place = (runDir: string): Place => ({ runDir, cacheDir, say });
  const control = async (): Promise<readonly ControlResult[]> => {
    if (!options.control) return [];
    const told = { ...place(side.dir), say: (line: string) => say(`control: ${line}`) };
    return runControl(told, { profile: options.timings, random });
  };
  // The gate has no time to do one after the other.
  const early = options.isShort ? control() : undefined;
  early?.catch(() => undefined); // waited for below
  const measured = await playAll(place(main.dir));
  if (interrupt.aborted) say("interrupted: this is what was measured until then");
  else if (options.control) say("positive control: rows 4 and 8 without the fence");
  const seen = interrupt.aborted ? [] : await (early ?? control());
  return tellAll(measured, seen);
}

async function tellAll({ cases, came, lost }: Measured, seen: readonly ControlResult[]): Promise<number> {
  const chosen = rows.flatMap((row) => reportRow(row, cases) ?? []);
  console.log(`\n${renderReport(chosen)}\n`);
  for (const { row, bots, duplicateMs } of seen)
    say(`positive control: row ${row}, ${bots} bots, ${Math.round(duplicateMs)} ms of duplicates`);
  tellFailed(cases);
  const blind = options.control && !interrupt.aborted ? judgeControl(seen) : [];
  for (const line of blind) console.error(`- ${line}`);
  const isWhole =
    options.from === undefined &&
    options.timings === "default" &&
    !options.isShort &&
    options.rows === undefined &&
    options.n === undefined;
  const page = options.page ?? (isWhole ? faultsPage : undefined);
  const minutes = minutesTaken();
  const setting = { profile: options.timings, workers: WORKERS, bots: BOTS, everyMs: EVERY_MS, cores: availableParallelism(), minutes };
  if (page !== undefined) await writePart(page, "processes", renderPage({ reports: chosen, control: seen, came, lost, ...setting }));
  await save({ cases, came, lost }, seen);
  const total = tally(cases.map(({ verdict }) => verdict));
  const counts = `${total.cases} cases, ${total.failed} failed, ${total.starved} starved`;
  say(`${counts}; ${came} datagrams came, ${lost} were lost; seed ${options.seed}`);
  if (interrupt.aborted) return 130;
  return total.verdict === "pass" && blind.length === 0 ? 0 : 1;
}

type Saved = Measured & { readonly timings: string; readonly control: readonly ControlResult[]; readonly minutes: number };

async function retell(files: readonly string[]): Promise<number> {
  const saved = await Promise.all(files.map(async (file) => JSON.parse(await readFile(file, "utf8")) as Saved));
  for (const [index, { timings }] of saved.entries())
    if (timings !== options.timings) throw new Error(`Cannot tell "${files[index]}": its timings are ${timings}, not ${options.timings}`);
  const sum = (of: (run: Saved) => number): number => saved.reduce((total, run) => total + of(run), 0);
  minutesBefore = sum(({ minutes }) => minutes);
  const measured = { cases: saved.flatMap(({ cases }) => cases), came: sum(({ came }) => came), lost: sum(({ lost }) => lost) };
  return tellAll(
    measured,
    saved.flatMap(({ control }) => control),
  );
}

type Measured = { readonly cases: readonly CaseResult[]; readonly came: number; readonly lost: number };

/** After each round, so that nothing is lost with a run that is killed. */
async function save(measured: Measured, control: readonly ControlResult[]): Promise<void> {
  if (options.json === undefined) return;
  const { seed, timings } = options;
  await writeFile(options.json, `${JSON.stringify({ seed, timings, minutes: minutesTaken(), ...measured, control }, null, 2)}\n`);
}

async function playAll(place: Place): Promise<Measured> {
  const wanted = rows.filter(({ number }) => options.rows?.includes(number) ?? true);
  const plan = options.isShort ? planShort(wanted, options.seed) : planFull(wanted, options.n);
  const cases: CaseResult[] = [];
  if (plan.length === 0) return { cases, came: 0, lost: 0 };
  const shape = { workers: WORKERS, bots: BOTS, everyMs: EVERY_MS, maxSegment: SEGMENTS, fence: "on" } as const;
  const fleet = await FaultFleet.open({ ...place, ...shape, profile: options.timings, random });
  const figures = () => fleet.hub.sink.ask("figures");
  try {
    await fleet.start();
    for (const [round, batch] of plan.entries()) {
      if (interrupt.aborted) break;
      const name = batch.map(({ number }) => `row ${number}`).join(" and ");
      say(`${round + 1}/${plan.length} ${name}: ${[...new Set(batch.map(({ fault }) => fault))].join(", ")}`);
      const same = plan.slice(0, round).filter((other) => other[0] === batch[0]).length;
      const variant = options.isShort ? options.seed + same : same;
      const played = await playRound(batch, variant, { fleet, isShort: options.isShort, random });
      for (const one of played) tellCase(one, say);
      cases.push(...played);
      await save({ cases, ...(await figures()) }, []);
    }
    const { came, lost } = await figures();
    return { cases, came, lost };
  } catch (error) {
    for (const seat of fleet.seats)
      console.error(`${seat.name} (ended: ${seat.ends.join(" ")}):\n${(await seat.lastLines(15)).join("\n")}`);
    throw error;
  } finally {
    say("stopping the fleet");
    await fleet.stop();
  }
}

function minutesTaken(): number {
  return minutesBefore + Math.round((performance.now() - began) / 60_000);
}

function readOptions() {
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
        from: { type: "string" },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) {
      console.log(usage);
      process.exit(0);
    }
    const { timings } = values;
    if (timings !== "default" && timings !== "ci") throw new RangeError(`--timings must be default or ci, got "${timings}"`);
    const chosen = values.rows?.split(",");
    for (const number of chosen ?? [])
      if (rows.every((row) => row.number !== number)) throw new RangeError(`--rows: there is no row "${number}"`);
    const n = values.n === undefined ? undefined : Number(values.n);
    const seed = Number(values.seed ?? Date.now() % 1_000_000);
    if (n !== undefined && !(Number.isInteger(n) && n > 0)) throw new RangeError(`--n must be a whole number above 0, got "${values.n}"`);
    if (!Number.isInteger(seed) || seed < 0) throw new RangeError(`--seed must be a whole number, got "${values.seed}"`);
    return {
      timings,
      rows: chosen,
      n,
      seed,
      isShort: values.short,
      control: !values["no-control"],
      json: values.json,
      page: values.page,
      from: values.from?.split(","),
    } as const;
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    process.exit(2);
  }
}
