// Takes away one guard of the protocol after another and lets the simulation find what that breaks: npm run mutate:guards
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";

import { renderTable } from "../src/cli/table.ts";
import { sideBySide } from "../src/process/side-by-side.ts";
import { mutants } from "../test/mutants/mutants.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1500" },
    only: { type: "string" },
    write: { type: "boolean" },
    tell: { type: "boolean" },
    help: { type: "boolean" },
  },
});
if (values.help === true) {
  console.log(`Usage: npm run mutate:guards -- [--seeds 1500] [--only TEXT] [--tell] [--write]

Each guard is edited out of the source that the product runs, in a process of its own, and plays are performed until an
invariant breaks. Exit 0: each guard is missed by somebody. --tell prints the shortest play that shows it, --write puts
the table into docs/proofs.md.`);
  process.exit(0);
}

const root = join(import.meta.dirname, "..");
const PROOFS = join(root, "docs/proofs.md");
/** Side by side: one for each of the two cores that we may count on. */
const WIDTH = 2;
const LIMIT_MS = 900_000;

type Verdict = {
  readonly killed: boolean;
  readonly invariant?: string;
  readonly message?: string;
  readonly seed?: number;
  readonly faults?: readonly string[];
};

const chosen = mutants.filter(({ name }) => values.only === undefined || name.includes(values.only));
const run = promisify(execFile);
const began = performance.now();
const rows = await sideBySide(chosen, WIDTH, async ({ name, guard }) => {
  const args = [
    "--import",
    join(root, "test/mutants/hook.ts"),
    join(root, "test/mutants/run.ts"),
    values.seeds,
    ...(values.tell === true ? ["--tell"] : []),
  ];
  const { stdout, stderr } = await run(process.execPath, args, {
    env: { ...process.env, MUTANT: name },
    timeout: LIMIT_MS,
    maxBuffer: 1 << 26,
  });
  const verdict = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Verdict;
  if (values.tell === true) console.log(`\n== ${name}\n${stderr}`);
  console.log(`${verdict.killed ? "killed  " : "SURVIVED"} ${name}${verdict.killed ? `: ${verdict.message}` : ""}`);
  return { name, guard, ...verdict };
});

const survivors = rows.filter(({ killed }) => !killed);
const table = rows.map(({ name, guard, invariant = "none", message = "survived", seed = 0, faults = [] }) => [
  name,
  guard,
  invariant,
  message.replace(`${invariant}: `, ""),
  `${[...new Set(faults)].join(", ") || "no fault"} (seed ${seed})`,
]);
const header = ["guard taken away", "what it is for", "broken", "how", "least faults that show it"];
if (values.write === true) await writeProofs();
else
  console.log(
    `\n${renderTable(
      ["GUARD", "BROKEN", "SEED"],
      rows.map((r) => [r.name, r.invariant ?? "-", String(r.seed ?? "-")]),
    )}`,
  );
console.log(`${rows.length} guards taken away, ${survivors.length} not missed, ${Math.round((performance.now() - began) / 1_000)} s`);
process.exitCode = survivors.length > 0 ? 1 : 0;

async function writeProofs(): Promise<void> {
  const [begin, end] = ["<!-- guards: begin -->", "<!-- guards: end -->"];
  const lines = [header, header.map(() => "---"), ...table].map((cells) => `| ${cells.join(" | ")} |`);
  const text = await readFile(PROOFS, "utf8");
  const [head = "", rest = ""] = text.split(begin);
  const [, tail = ""] = rest.split(end);
  await writeFile(PROOFS, `${head}${begin}\n\n${lines.join("\n")}\n\n${end}${tail}`);
}
