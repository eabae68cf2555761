import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";

import type { Totals } from "../../test/support/reporter.ts";
import type { Say } from "./cache.ts";

export interface Suite {
  readonly name: string;
  readonly budgetSeconds: number;
  /** npm scripts; each counts as one test. */
  readonly checks: readonly string[];
  /** Globs for mocha; none: the checks are all. */
  readonly specs: readonly string[];
  /** Whether Docker and MongoDB are to be provided. */
  readonly needsParts?: boolean;
  /** Whether Helm 3 and 4 are to be built first. */
  readonly needsHelms?: boolean;
  /** Whether what a cluster is made of is to be built first: a first build's minutes are not the suite's. */
  readonly needsCluster?: boolean;
}

export interface Count {
  passed: number;
  failed: number;
  skipped: number;
  /** A line for each failure that has a name. */
  readonly failures: string[];
}

interface Context {
  readonly runDir: string;
  readonly say: Say;
  /** Added to the environment of the tests. */
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

const root = join(import.meta.dirname, "..", "..");
const bin = join(root, "node_modules", ".bin");

/** Runs the checks, then mocha; the output goes to the terminal as it comes. */
export async function runSuite(suite: Suite, context: Context): Promise<Count> {
  const count: Count = { passed: 0, failed: 0, skipped: 0, failures: [] };
  for (const check of suite.checks) {
    if (context.signal.aborted) return count;
    const began = performance.now();
    const ok = (await end(start(["npm", "run", "--silent", check], {}), suite, context)) === 0;
    context.say(`${suite.name}: ${check} ${ok ? "ok" : "FAILED"} in ${Math.round(performance.now() - began)} ms`);
    count[ok ? "passed" : "failed"] += 1;
    if (!ok) count.failures.push(`npm run ${check}`);
  }
  if (context.signal.aborted || suite.specs.length === 0) return count;
  context.say(`${suite.name}: mocha ${suite.specs.join(" ")}`);
  const totals = join(context.runDir, "totals.json");
  await rm(totals, { force: true });
  const mocha = [join(bin, "node"), join(root, "node_modules/mocha/bin/mocha.js"), ...suite.specs];
  const code = await end(start(mocha, { ...context.env, TEST_TOTALS: totals }), suite, context);
  const { passes, failures, pending, failed } = await readTotals(totals, code, context.say);
  count.failures.push(...failed);
  return { ...count, passed: count.passed + passes, failed: count.failed + failures, skipped: pending };
}

// A run without totals has failed before its end; one with totals that ends badly has lost an error or a handle.
async function readTotals(file: string, code: number | undefined, say: Say): Promise<Totals> {
  if (!existsSync(file)) return { passes: 0, failures: 1, pending: 0, failed: ["mocha ended before its last test"] };
  const totals = JSON.parse(await readFile(file, "utf8")) as Totals;
  if (code === undefined) say("mocha had to be killed");
  if (code === 0 || totals.failures > 0) return totals;
  return { ...totals, failures: 1, failed: ["mocha ended badly though each test passed: see its output"] };
}

function start([command = "", ...args]: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
  const path = `${bin}:${process.env["PATH"] ?? ""}`;
  // A group of its own: Ctrl-C comes to us, and we end the tests before the engines under them.
  return spawn(command, args, {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    detached: true,
    env: { ...process.env, ...env, PATH: path },
  });
}

/** The exit code; undefined when the child had to be killed. Three times the budget is taken for a hang. */
async function end(child: ChildProcess, { budgetSeconds }: Suite, { signal }: Context): Promise<number | undefined> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(3000 * budgetSeconds)]);
  let last: NodeJS.Timeout | undefined;
  const kill = () => {
    // Mocha takes SIGINT as "finish this test and run the after hooks".
    signalGroup(child, "SIGINT");
    last = setTimeout(() => signalGroup(child, "SIGKILL"), 20_000);
  };
  limit.addEventListener("abort", kill, { once: true });
  const code = await new Promise<number | undefined>((done) => {
    child.once("error", () => done(1));
    child.once("exit", (status) => done(limit.aborted ? undefined : (status ?? 1)));
  });
  clearTimeout(last);
  limit.removeEventListener("abort", kill);
  return code;
}

function signalGroup(child: ChildProcess, name: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, name);
  } catch (error) {
    // Gone in the meantime.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
