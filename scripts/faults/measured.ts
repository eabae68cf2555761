// What a run of the fault table has measured so far: played, saved, told again, judged.
import { readFile, writeFile } from "node:fs/promises";

import type { Say } from "../lib/cache.ts";
import { type ControlResult, judgeControl } from "./control.ts";
import type { RowText } from "./fault-row.ts";
import { isWholeRun, type RunOptions } from "./options.ts";
import { faultsPage } from "./page.ts";
import type { Batch } from "./plan.ts";
import { renderReport, reportRow, type RowReport } from "./report.ts";
import type { CaseResult } from "./rounds.ts";
import { tellCase, tellFailed } from "./tell.ts";
import { tally } from "./verdict.ts";

/** Datagrams that came, and those that never did. */
type Figures = { readonly came: number; readonly lost: number };
type Saved = Figures & {
  readonly timings: string;
  readonly minutes: number;
  readonly cases: readonly CaseResult[];
  readonly control: readonly ControlResult[];
};

export type PlayOptions<R> = {
  readonly plan: readonly Batch<R>[];
  /** `variant`: for rows that have more than one. */
  readonly play: (batch: Batch<R>, variant: number) => Promise<readonly CaseResult[]>;
  readonly figures: () => Promise<Figures>;
};

export class Measured {
  readonly cases: CaseResult[] = [];
  control: readonly ControlResult[] = [];
  figures: Figures = { came: 0, lost: 0 };
  readonly #options: RunOptions;
  readonly #say: Say;
  readonly #signal: AbortSignal;
  readonly #began = performance.now();
  #minutesBefore = 0;

  /** `signal`: ends a run before its time. */
  constructor(options: RunOptions, say: Say, signal: AbortSignal) {
    this.#options = options;
    this.#say = say;
    this.#signal = signal;
  }

  /** That this run took, or those that are told again. */
  get minutes(): number {
    if (this.#options.from !== undefined) return this.#minutesBefore;
    return Math.round((performance.now() - this.#began) / 60_000);
  }

  /** Round by round; after each, all is saved, so that nothing is lost with a run that is killed. */
  async play<R extends RowText>({ plan, play, figures }: PlayOptions<R>): Promise<void> {
    const { isShort, seed } = this.#options;
    for (const [round, batch] of plan.entries()) {
      if (this.#signal.aborted) return;
      const name = batch.map(({ number }) => `row ${number}`).join(" and ");
      this.#say(`${round + 1}/${plan.length} ${name}: ${[...new Set(batch.map(({ fault }) => fault))].join(", ")}`);
      const same = plan.slice(0, round).filter((other) => other[0] === batch[0]).length;
      const played = await play(batch, isShort ? seed + same : same);
      for (const one of played) tellCase(one, this.#say);
      this.cases.push(...played);
      this.figures = await figures();
      await this.save();
    }
  }

  async save(): Promise<void> {
    const { json, seed, timings } = this.#options;
    if (json === undefined) return;
    const { cases, control, minutes } = this;
    await writeFile(json, `${JSON.stringify({ seed, timings, minutes, ...this.figures, cases, control }, null, 2)}\n`);
  }

  /** What earlier runs have saved. @throws {Error} naming the file whose timings are others */
  async recall(files: readonly string[]): Promise<void> {
    const { timings } = this.#options;
    for (const file of files) {
      const saved = JSON.parse(await readFile(file, "utf8")) as Saved;
      if (saved.timings !== timings) throw new Error(`Cannot tell "${file}": its timings are ${saved.timings}, not ${timings}`);
      this.cases.push(...saved.cases);
      this.control = [...this.control, ...saved.control];
      this.figures = { came: this.figures.came + saved.came, lost: this.figures.lost + saved.lost };
      this.#minutesBefore += saved.minutes;
    }
  }

  /** The page to write, should this be what is published, or be wanted there. */
  get page(): string | undefined {
    return this.#options.page ?? (isWholeRun(this.#options) && !this.#signal.aborted ? faultsPage : undefined);
  }

  /** Tells the table, and what is wrong with it. */
  tell(rows: readonly RowText[]): { readonly reports: readonly RowReport[]; readonly exitCode: 0 | 1 | 130 } {
    const { cases, control } = this;
    const reports = rows.flatMap((row) => reportRow(row, cases) ?? []);
    console.log(`\n${renderReport(reports)}\n`);
    for (const { row, bots, duplicateMs } of control)
      this.#say(`positive control: row ${row}, ${bots} bots, ${Math.round(duplicateMs)} ms of duplicates`);
    tellFailed(cases);
    const isMissing = this.#options.control && !this.#signal.aborted && control.length === 0;
    const blind = [...judgeControl(control), ...(isMissing ? ["the positive control was not played"] : [])];
    for (const line of blind) console.error(`- ${line}`);
    const total = tally(cases.map(({ verdict }) => verdict));
    const { came, lost } = this.figures;
    const counts = `${total.cases} cases, ${total.failed} failed, ${total.starved} starved`;
    this.#say(`${counts}; ${came} datagrams came, ${lost} were lost; seed ${this.#options.seed}`);
    const isGood = total.verdict === "pass" && blind.length === 0;
    return { reports, exitCode: this.#signal.aborted ? 130 : isGood ? 0 : 1 };
  }
}
