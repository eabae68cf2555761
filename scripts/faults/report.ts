import { renderTable } from "../../src/cli/table.ts";
import { quantile } from "./analysis.ts";
import type { Profile } from "./bounds.ts";
import type { ControlResult } from "./control.ts";
import type { RowText } from "./fault-row.ts";
import type { CaseResult } from "./rounds.ts";
import { tally } from "./verdict.ts";

/** With fewer a p99 is only another name for the maximum. */
const MIN_FOR_P99 = 100;

export type RowReport = {
  readonly row: RowText;
  /** Occurrences, without those that were starved and repeated. */
  readonly n: number;
  readonly bots: number;
  readonly duplicateMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number | undefined;
  readonly maxMs: number;
  readonly boundMs: number;
  readonly resolutionMs: number;
  readonly restarts: number;
  readonly lagP99Ms: number;
  readonly load: number;
  readonly starved: number;
  readonly failed: number;
  readonly also: Readonly<Record<string, number>>;
};

export function reportRow(row: RowText, cases: readonly CaseResult[]): RowReport | undefined {
  const mine = cases.filter((c) => c.row === row.number);
  if (mine.length === 0) return undefined;
  const { starved, failed } = tally(mine.map(({ verdict }) => verdict));
  const unrun = mine.flatMap(({ unrunMs }) => unrunMs);
  const values = unrun.length > 0 ? unrun : [0];
  const also: Record<string, number> = {};
  for (const { also: more } of mine) for (const [what, ms] of Object.entries(more)) also[what] = Math.max(also[what] ?? 0, ms);
  return {
    row,
    n: mine.length - starved,
    bots: unrun.length,
    duplicateMs: mine.reduce((sum, c) => sum + c.duplicateMs, 0),
    p50Ms: quantile(values, 0.5),
    p99Ms: mine.length >= MIN_FOR_P99 ? quantile(values, 0.99) : undefined,
    maxMs: Math.max(...values),
    boundMs: Math.max(...mine.map(({ boundMs }) => boundMs)),
    resolutionMs: Math.max(...mine.map(({ resolutionMs }) => resolutionMs)),
    restarts: mine.reduce((sum, c) => sum + c.restarts, 0),
    lagP99Ms: Math.max(...mine.map(({ lag }) => lag.p99Ms)),
    load: Math.max(...mine.map(({ lag }) => lag.load)),
    starved,
    failed,
    also,
  };
}

const HEAD = ["ROW", "FAULT", "N", "BOTS", "DUP MS", "P50 MS", "MAX MS", "BOUND MS", "RES MS", "LAG99", "LOAD", "STARVED", "FAILED"];

export function renderReport(reports: readonly RowReport[]): string {
  return renderTable(
    HEAD,
    reports.map((r) => [r.row.number, r.row.fault, ...figures(r)]),
  );
}

function figures(r: RowReport): string[] {
  const p99 = r.p99Ms === undefined ? "" : ` (p99 ${Math.round(r.p99Ms)})`;
  return [
    String(r.n),
    String(r.bots),
    duplicateText(r.duplicateMs),
    `${Math.round(r.p50Ms)}${p99}`,
    String(Math.round(r.maxMs)),
    String(Math.round(r.boundMs)),
    String(Math.round(r.resolutionMs)),
    r.lagP99Ms.toFixed(1),
    r.load.toFixed(1),
    String(r.starved),
    String(r.failed),
  ];
}

const duplicateText = (ms: number): string => (ms === 0 ? "0" : ms < 1 ? ms.toFixed(3) : String(Math.round(ms)));

/** The table of what was measured, and what else was. */
export function renderFigures(reports: readonly RowReport[]): string {
  const lines = reports.map((r) => `| ${[r.row.number, r.row.fault, r.row.formula, ...figures(r)].join(" | ")} |`);
  const extra = reports.flatMap((r) =>
    Object.entries(r.also).map(([what, ms]) => `- Row ${r.row.number}: ${what} at most ${Math.round(ms)} ms.`),
  );
  return `| # | fault | bound | n | bots | dup | p50 | max | bound ms | res | lag99 | load | starved | failed |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
${lines.join("\n")}

${extra.join("\n")}`;
}

export function renderControl(control: readonly ControlResult[]): string {
  return `| # | bots | dup |
|---|---|---|
${control.map((c) => `| ${c.row} | ${c.bots} | ${Math.round(c.duplicateMs)} |`).join("\n")}`;
}

export function renderHows(reports: readonly RowReport[]): string {
  return `| # | how | expected |
|---|---|---|
${reports.map((r) => `| ${r.row.number} | ${r.row.how} | ${r.row.expected} |`).join("\n")}`;
}

/** The page docs/faults.md, but for its part on Kubernetes. */
export function renderPage(input: {
  readonly reports: readonly RowReport[];
  readonly control: readonly ControlResult[];
  readonly profile: Profile;
  readonly workers: number;
  readonly bots: number;
  readonly everyMs: number;
  readonly lost: number;
  readonly came: number;
  readonly cores: number;
  readonly minutes: number;
}): string {
  const { reports, control, profile, workers, bots, everyMs, lost, came, cores, minutes } = input;
  return `# Faults and what they did

Made by \`npm run faults -- --timings ${profile}\`; do not edit. The rows are those of the protocol's fault table that several
processes on one machine can suffer with \`COORDINATION=mongo\`, whose L is 20 s.

${workers} workers, each with its own Docker Engine under its own fence; ${bots} bots that say every ${everyMs} ms that they run. ${cores} cores,
${minutes} minutes. ${came} datagrams came, ${lost} were lost. Times in ms; *n* counts occurrences, *bots* the bots measured in them.
*dup*: how long two containers of one bot ran at the same time, summed over all bots of the fleet. *p50* and *max*: how long a bot of the
struck worker did not run. *res*: the longest silence inside one life, which is what cannot be told apart from a pause. *lag99*:
p99 of how late 20 ms timers came in a process beside it, at worst. *load*: load average, at worst.

${renderFigures(reports)}

A case passes if there was no duplicate and its longest time without a run kept the bound. A missed bound is excused as *starved*
only where timers were late by 250 ms at p99, and is then repeated once; more than one starved case in ten fails the run.

## The positive control

With a fence that kills nothing the same rig sees duplicates:

${renderControl(control)}

## How each fault is made

${renderHows(reports)}
`;
}
