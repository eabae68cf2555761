// The faults of ownership.md in a real cluster: what they do to bots that say every 20 ms that they run.
import { readFile, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";

import { Chance } from "../test/sim/chance.ts";
import { runClusterControl } from "./faults/cluster/control.ts";
import { chooseOnNodes, planShortCluster } from "./faults/cluster/plan.ts";
import { clusterRows } from "./faults/cluster/rows.ts";
import { renderSection } from "./faults/cluster/section.ts";
import { ClusterStage } from "./faults/cluster/stage.ts";
import { type ControlResult, judgeControl } from "./faults/control.ts";
import { faultsPage, writePart } from "./faults/page.ts";
import { planFull } from "./faults/plan.ts";
import { renderReport, reportRow } from "./faults/report.ts";
import { type CaseResult, playRound } from "./faults/rounds.ts";
import { tellCase, tellFailed } from "./faults/tell.ts";
import { tally } from "./faults/verdict.ts";
import { timedSay, watchInterrupt } from "./lib/interrupt.ts";
import { cleanStaleRuns } from "./lib/run-dir.ts";

const usage = `Usage: npm run faults:cluster -- [options]

  --timings default|ci  the protocol's timings; ci doubles them and their bounds (default: ci)
  --rows 6,8,10+11      only these rows of the table
  --n N                 occurrences of each row (default: as published)
  --short               a selection, once or N times, in less than 4 minutes after the cluster is up
  --no-control          without the positive control
  --seed S              chooses victims (default: from the clock)
  --json FILE           every case as JSON
  --page FILE           the page whose part on Kubernetes is written (default: docs/faults.md after a whole run with --timings default)
  --logs DIR            where the logs of pods go that were replaced, and of all pods after a round that failed
  --from A.json,B.json  plays nothing: judges and tells what earlier runs have saved

Needs what scripts/cluster needs: root, and the images and programs that it builds once.
Exit 0: no duplicate, every bound kept, and the positive control has seen duplicates. 1: not so. 2: wrong usage.`;

const SHAPE = { nodes: 3, pods: 5, bots: 12, everyMs: 20 } as const;
const SEGMENTS = 8;

const options = readOptions();
const interrupt = watchInterrupt();
const began = performance.now();
const say = timedSay();
const random = new Chance(options.seed).next;
/** What has been measured so far. `minutes`: of the runs that are told again. */
type Measured = { cases: CaseResult[]; control: ControlResult[]; came: number; lost: number; minutes: number };
const measured: Measured = { cases: [], control: [], came: 0, lost: 0, minutes: 0 };

await cleanStaleRuns(say);
try {
  say(`seed ${options.seed}, timings ${options.timings}`);
  if (options.from === undefined) await measure();
  else await recall(options.from);
  process.exitCode = await tellAll();
} catch (error) {
  console.error(error);
  process.exitCode = interrupt.aborted ? 130 : 1;
}

async function measure(): Promise<void> {
  const wanted = clusterRows.filter(({ number }) => options.rows?.includes(number) ?? true);
  const plan = options.isShort ? planShortCluster(wanted, options.seed, options.n) : planFull(wanted, options.n);
  say("bringing a cluster up");
  const fleet = await ClusterStage.open({ ...SHAPE, segments: SEGMENTS, say, profile: options.timings, logDir: options.logs });
  const save = async (): Promise<void> => {
    Object.assign(measured, await fleet.fleet.sink.ask("figures"));
    if (options.json === undefined) return;
    const { seed, timings } = options;
    await writeFile(options.json, `${JSON.stringify({ seed, timings, ...measured, minutes: minutesTaken() }, null, 2)}\n`);
  };
  try {
    await fleet.start();
    say("the fleet is settled");
    const control = async (): Promise<void> => {
      if (!options.control || interrupt.aborted || measured.control.length > 0) return;
      say("positive control: rows 4 and 8 without fence and kubelet");
      measured.control = await runClusterControl(fleet, random);
      await save();
    };
    for (const [round, batch] of plan.entries()) {
      if (interrupt.aborted) break;
      const name = batch.map(({ number }) => `row ${number}`).join(" and ");
      say(`${round + 1}/${plan.length} ${name}: ${[...new Set(batch.map(({ fault }) => fault))].join(", ")}`);
      const same = plan.slice(0, round).filter((other) => other[0] === batch[0]).length;
      const variant = options.isShort ? options.seed : same;
      const played = await playRound(batch, variant, { fleet, isShort: options.isShort, random, choose: chooseOnNodes });
      for (const one of played) tellCase(one, say);
      measured.cases.push(...played);
      if (played.some(({ verdict }) => verdict !== "pass")) await fleet.saveLogs();
      await save();
    }
    await control();
  } catch (error) {
    console.error(await fleet.lastWords(15));
    throw error;
  } finally {
    say("taking the cluster down");
    await fleet.stop();
  }
}

async function recall(files: readonly string[]): Promise<void> {
  for (const file of files) {
    const saved = JSON.parse(await readFile(file, "utf8")) as Measured & { timings: string };
    if (saved.timings !== options.timings)
      throw new Error(`Cannot tell "${file}": its timings are ${saved.timings}, not ${options.timings}`);
    measured.cases.push(...saved.cases);
    measured.control.push(...saved.control);
    for (const sum of ["came", "lost", "minutes"] as const) measured[sum] += saved[sum];
  }
}

async function tellAll(): Promise<number> {
  const { cases, control, came, lost } = measured;
  const reports = clusterRows.flatMap((row) => reportRow(row, cases) ?? []);
  console.log(`\n${renderReport(reports)}\n`);
  for (const { row, bots, duplicateMs } of control)
    say(`positive control: row ${row}, ${bots} bots, ${Math.round(duplicateMs)} ms of duplicates`);
  tellFailed(cases);
  const isMissing = options.control && control.length === 0 && !interrupt.aborted;
  const blind = [...judgeControl(control), ...(isMissing ? ["the positive control was not played"] : [])];
  for (const line of blind) console.error(`- ${line}`);
  const isWhole = options.timings === "default" && !options.isShort && options.rows === undefined && options.n === undefined;
  const page = options.page ?? (isWhole && options.from === undefined && !interrupt.aborted ? faultsPage : undefined);
  const setting = { ...SHAPE, profile: options.timings, cores: availableParallelism(), minutes: minutesTaken() };
  if (page !== undefined) await writePart(page, "cluster", renderSection({ reports, control, came, lost, ...setting }));
  const total = tally(cases.map(({ verdict }) => verdict));
  const counts = `${total.cases} cases, ${total.failed} failed, ${total.starved} starved`;
  say(`${counts}; ${came} datagrams came, ${lost} were lost; seed ${options.seed}`);
  if (interrupt.aborted) return 130;
  return total.verdict === "pass" && blind.length === 0 ? 0 : 1;
}

function minutesTaken(): number {
  return measured.minutes + (options.from === undefined ? Math.round((performance.now() - began) / 60_000) : 0);
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
        logs: { type: "string" },
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
      if (clusterRows.every((row) => row.number !== number)) throw new RangeError(`--rows: there is no row "${number}"`);
    const n = values.n === undefined ? undefined : Number(values.n);
    const seed = Number(values.seed ?? Date.now() % 1_000_000);
    if (n !== undefined && !(Number.isInteger(n) && n > 0)) throw new RangeError(`--n must be a whole number above 0, got "${values.n}"`);
    if (!Number.isInteger(seed) || seed < 0) throw new RangeError(`--seed must be a whole number, got "${values.seed}"`);
    const control = !values["no-control"];
    return { timings, rows: chosen, n, seed, isShort: values.short, control, ...pick(values) } as const;
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    process.exit(2);
  }
}

type Files = { readonly json?: string; readonly page?: string; readonly logs?: string; readonly from?: string };

function pick({ json, page, logs, from }: Files) {
  return { json, page, logs, from: from?.split(",") };
}
