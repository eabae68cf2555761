// What a release consists of, made and summed up in one directory. It publishes nothing: the lines that do are printed.
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";

import type { Say } from "./lib/cache.ts";
import { run } from "./lib/command.ts";
import { watchInterrupt } from "./lib/interrupt.ts";
import { makeArtifacts, publishLines } from "./lib/release/artifacts.ts";
import { checkVersions } from "./lib/release/versions.ts";

const help = `Usage: scripts/release [--dry-run] [--out DIR] [--registry REGISTRY]

Makes what a release consists of, for the version in package.json, and prints the lines that publish it. Publishes nothing.

  runtime-VERSION.tgz        the chart, for "helm push" and "helm install"
  bot-runner-VERSION.tgz     the program as an npm package (npm pack)
  sbom.cyclonedx.json        what the program is made of, by package-lock.json; sbom.spdx.json: the same as SPDX
  SHA256SUMS                 of all these

  --dry-run                  a rehearsal: the same, and what would be refused is a warning: changes that are not committed,
                             a CHANGELOG.md without the version. Without --out it is removed at the end
  --out DIR                  where to; must be empty or not there yet [default: release/VERSION]
  --registry REGISTRY        in the printed lines [default: registry.example/bot-runner]

Needs helm (3 or 4) in PATH, or HELM that names it: PATH="$(./scripts/cluster tools):$PATH" builds one.
Exit codes: 0 done, 1 failed, 64 wrong usage, 65 the tree is not ready to be released, 69 there is no helm, 130 interrupted.
`;

const root = join(import.meta.dirname, "..");
const interrupt = watchInterrupt();
const say: Say = (line) => console.error(`-- ${line}`);

class ExitError extends Error {
  readonly code: number;
  constructor(code: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

function read(argv: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        "dry-run": { type: "boolean", default: false },
        out: { type: "string" },
        registry: { type: "string", default: "registry.example/bot-runner" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (!/^[a-z0-9.-]+(:\d+)?(\/[a-z0-9._-]+)*$/.test(values.registry))
      throw new Error(`--registry: must be a host with an optional path and no scheme, got "${values.registry}"`);
    return values;
  } catch (cause) {
    throw new ExitError(64, `${cause instanceof Error ? cause.message : String(cause)}\n\n${help}`, { cause });
  }
}

/** What keeps this tree from being released; the faults among it are thrown. */
async function inspect(): Promise<{ readonly version: string; readonly unready: readonly string[] }> {
  const [packageJson = "", packageLock = "", chartYaml = "", changelog = ""] = await Promise.all(
    ["package.json", "package-lock.json", "chart/Chart.yaml", "CHANGELOG.md"].map((path) => readFile(join(root, path), "utf8")),
  );
  const { version, faults, unready } = checkVersions({ packageJson, packageLock, chartYaml, changelog });
  if (faults.length > 0) throw notReady(faults);
  return { version, unready: [...unready, ...(await uncommitted())] };
}

async function uncommitted(): Promise<string[]> {
  try {
    const changes = (await run("git", ["status", "--porcelain"], { cwd: root })).trimEnd();
    return changes === "" ? [] : [`git: must have no changes that are not committed, got ${changes.split("\n").length}`];
  } catch {
    return ["git: must tell what is committed, got nothing: release from a clone"];
  }
}

const notReady = (faults: readonly string[]): ExitError =>
  new ExitError(65, `Cannot release this tree: ${faults.length} fault${faults.length === 1 ? "" : "s"}\n  - ${faults.join("\n  - ")}`);

async function findHelm(): Promise<string> {
  const helm = process.env["HELM"] || "helm";
  try {
    await run(helm, ["version", "--short"], { timeoutMs: 30_000 });
    return helm;
  } catch (cause) {
    throw new ExitError(69, `Cannot run "${helm}": set HELM, or PATH="$(./scripts/cluster tools):$PATH"`, { cause });
  }
}

async function main(): Promise<void> {
  const options = read(process.argv.slice(2));
  if (options.help) {
    console.log(help);
    return;
  }
  const { version, unready } = await inspect();
  if (unready.length > 0 && !options["dry-run"]) throw notReady(unready);
  for (const fault of unready) say(`a release would be refused: ${fault}`);
  const helm = await findHelm();
  const stage = await mkdtemp(join(tmpdir(), "bot-runner-release-"));
  const isKept = options.out !== undefined || !options["dry-run"];
  const out = isKept ? resolve(options.out ?? join(root, "release", version)) : join(stage, "out");
  try {
    await mkdir(out, { recursive: true });
    if ((await readdir(out)).length > 0)
      throw new ExitError(64, `--out: must be an empty directory, got "${out}": remove it or name another`);
    const made = await makeArtifacts({ out, stage, helm, say, signal: interrupt });
    for (const name of made) say(isKept ? join(relative(process.cwd(), out), name) : name);
    const lines = publishLines(version, isKept ? out : join("release", version), options.registry);
    console.log(lines.join("\n"));
    if (!isKept) say("a rehearsal: what was made is removed; --out DIR keeps it");
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

try {
  await main();
} catch (error) {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    console.error(cause.message);
    if (cause instanceof ExitError && cause.code === 64) break;
  }
  process.exitCode = interrupt.aborted ? 130 : error instanceof ExitError ? error.code : 1;
}
