import { once } from "node:events";
import { cpus, loadavg, totalmem } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

import { openCache } from "./cache.ts";
import { watchInterrupt } from "./interrupt.ts";
import { cleanOwnRuns, cleanStaleRuns, openRun } from "./run-dir.ts";
import { provideDocker, provideMongo } from "./test-parts.ts";

/** Noise of a shared machine: only a ratio below this part of its target fails. */
const GATE = 0.8;

export interface BareBench {
  readonly runDir: string;
  readonly say: (line: string) => void;
}

/** What a benchmark runs on: parts of its own unless the user has them. */
export interface Bench extends BareBench {
  readonly dockerHost: string;
  readonly mongoUri: string;
}

/** Runs a benchmark on real parts and cleans up; exits 1 when it throws or gives false. */
export function runBench(name: string, act: (bench: Bench) => Promise<boolean>): Promise<void> {
  return runBareBench(name, async (bench) => {
    const place = { ...bench, cacheDir: await openCache(process.env) };
    await using undo = new AsyncDisposableStack();
    const docker = await provideDocker(place, process.env);
    undo.defer(async () => docker.stop?.());
    const mongo = await provideMongo(place, process.env);
    undo.defer(async () => mongo.stop?.());
    return await act({ ...bench, dockerHost: docker.at, mongoUri: mongo.at });
  });
}

/** The same for a benchmark that brings its parts itself. One that is interrupted exits 130, and leaves nothing behind either. */
export async function runBareBench(name: string, act: (bench: BareBench) => Promise<boolean>): Promise<void> {
  const say = (line: string): void => console.log(`${name}: ${line}`);
  const interrupt = watchInterrupt();
  // Whatever it is about ends in the middle of it, as if it had been killed, and fails then at what it lacks.
  const exit = once(interrupt, "abort").then(() => {
    say("interrupted: taking down what was started");
    return cleanOwnRuns().finally(() => process.exit(130));
  });
  await cleanStaleRuns(say);
  const run = await openRun();
  try {
    say(`${cpus().length} x ${cpus()[0]?.model ?? "?"}, ${Math.round(totalmem() / 2 ** 30)} GiB, load ${load()}`);
    if (!(await act({ runDir: run.dir, say }))) process.exitCode = 1;
    say(`load at the end ${load()}`);
  } finally {
    if (interrupt.aborted) await exit;
    await run.remove();
  }
}

const load = (): string =>
  loadavg()
    .map((n) => n.toFixed(1))
    .join(" ");

/** Says how a ratio stands to its target, and whether it passes the gate. One that is no number was not measured. */
export function judge({ say }: BareBench, what: string, ratio: number, target: number): boolean {
  const passes = Number.isFinite(ratio) && ratio >= GATE * target;
  const verdict = passes && ratio >= target ? "met" : passes ? "missed, within the gate" : "MISSED";
  say(`${what}: ratio ${ratio.toFixed(2)}, target ${target}, gate ${(GATE * target).toFixed(2)}: ${verdict}`);
  return passes;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

/** Median and spread, as "12.3 s (11.9 to 13.0)". */
export function summary(values: readonly number[], unit: string, digits = 1): string {
  const text = (n: number): string => n.toFixed(digits);
  return `${text(median(values))} ${unit} (${text(Math.min(...values))} to ${text(Math.max(...values))})`;
}

/** Asks until the answer is true. @throws after the limit */
export async function waitFor(what: string, limitMs: number, ask: () => Promise<boolean>, everyMs = 50): Promise<void> {
  for (const end = performance.now() + limitMs; !(await ask()); await sleep(everyMs))
    if (performance.now() > end) throw new Error(`Waited ${limitMs} ms in vain until ${what}`);
}
