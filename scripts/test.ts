// The one way in to all tests. A suite is a list of checks and a mocha run; a check counts as one test. The last line
// says "N passed, N failed" and nothing else.
import { setMaxListeners } from "node:events";

import { openCache, type Place, type Say } from "./lib/cache.ts";
import { buildCluster, buildHelms } from "./lib/cluster/tools-and-images.ts";
import { watchInterrupt } from "./lib/interrupt.ts";
import { cleanStaleRuns, openRun } from "./lib/run-dir.ts";
import { type Parts, provideParts } from "./lib/test-parts.ts";
import { type Count, runSuite, type Suite } from "./lib/test-suite.ts";

const suites: readonly Suite[] = [
  {
    name: "quick",
    budgetSeconds: 120,
    checks: ["types", "lint", "format", "knip"],
    specs: ["test/unit/**/*.test.ts", "test/sim/**/*.test.ts", "test/model/**/*.test.ts"],
  },
  {
    name: "system",
    budgetSeconds: 360,
    checks: [],
    specs: ["test/contract/**/*.test.ts", "test/system/**/*.test.ts"],
    needsParts: true,
  },
  // Brings its own parts: engines under their fences.
  { name: "faults", budgetSeconds: 360, checks: ["faults:short"], specs: [] },
  { name: "chart", budgetSeconds: 480, checks: [], specs: ["test/chart/**/*.test.ts"], needsParts: true, needsHelms: true },
  { name: "cluster", budgetSeconds: 720, checks: [], specs: ["test/cluster/**/*.test.ts"], needsCluster: true },
];

const [word, ...specs] = process.argv.slice(2);
const chosen = suites
  .filter((suite) => word === undefined || suite.name === word)
  .map((suite) => (specs.length === 0 ? suite : { ...suite, checks: [], specs }));
if (chosen.length === 0 || (specs.length > 0 && word === "faults")) {
  console.error("Usage: ./scripts/test [quick|system|faults|chart|cluster [FILE...]]; with files, those of the suite alone");
  process.exit(64);
}

const interrupt = watchInterrupt();
setMaxListeners(50, interrupt);
const strict = process.env["CI"] === "true";
const say: Say = (line) => console.log(`-- ${line}`);

const run = await openRun();
const total: Count = { passed: 0, failed: 0, skipped: 0, failures: [] };
const summary: string[] = [`installs: ${process.env["BOOTSTRAP_SECONDS"] ?? 0} s for npm packages`];
let parts: Parts | undefined;
try {
  await cleanStaleRuns(say);
  for (const suite of chosen) {
    if (interrupt.aborted) break;
    if (suite.needsParts && parts === undefined) {
      parts = await install("Docker and MongoDB", (place) => provideParts(place, process.env));
      for (const { what, why } of parts.faults) say(`${what} is missing: ${why}`);
      // On a developer's machine what can run runs; with CI=true green must mean that everything ran.
      if (strict) total.failed += parts.faults.length;
    }
    const helms = suite.needsHelms ? await install("Helm 3 and 4", buildHelms) : {};
    if (suite.needsCluster) await install("the cluster", buildCluster);
    const began = performance.now();
    const count = await runSuite(suite, { runDir: run.dir, say, env: { ...parts?.env, ...helms }, signal: interrupt });
    const took = seconds(began);
    // A skipped test proves nothing, so on CI it is no success.
    const failed = count.failed + (strict ? count.skipped : 0);
    summary.push(
      `${suite.name}: ${count.passed} passed, ${failed} failed, ${count.skipped} skipped in ${took} s ` +
        `of ${suite.budgetSeconds} s${took > suite.budgetSeconds ? " (over its budget)" : ""}`,
    );
    total.passed += count.passed;
    total.failed += failed;
    total.skipped += count.skipped;
    total.failures.push(...count.failures.map((failure) => `${suite.name}: FAILED ${failure}`));
  }
} catch (error) {
  console.error(error);
  total.failed += 1;
} finally {
  await parts?.stop();
  await run.remove();
  // Tests that had to be killed could not clean up themselves.
  await cleanStaleRuns(say);
}
if (interrupt.aborted) total.failed += 1;
for (const line of [...total.failures, ...summary]) say(line);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 ? 1 : 0;

async function install<T>(what: string, act: (place: Place & { readonly signal: AbortSignal }) => Promise<T>): Promise<T> {
  const began = performance.now();
  const made = await act({ runDir: run.dir, cacheDir: await openCache(process.env), say, signal: interrupt });
  summary.push(`installs: ${seconds(began)} s for ${what}`);
  return made;
}

function seconds(began: number): number {
  return Math.round((performance.now() - began) / 100) / 10;
}
