// What a run directory says of the cluster in it. It is all that `down`, `status` and a later process have.
import { mkdir, open, readFile, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { identify, isAlive, stillRuns } from "../run-dir.ts";
import type { Network } from "./network.ts";
import type { Space } from "./space.ts";

/** A cluster that came up whole. */
export interface State {
  readonly network: Network;
  readonly hub: Space;
  readonly nodes: readonly Space[];
  /** The cluster's programs, kubectl among them. */
  readonly bin: string;
}

const file = (runDir: string): string => join(runDir, "cluster.json");

export async function writeState(runDir: string, state: State): Promise<void> {
  await writeFile(`${file(runDir)}.new`, JSON.stringify(state, null, 2));
  await rename(`${file(runDir)}.new`, file(runDir));
}

/** Undefined where no cluster came up whole. */
export async function readState(runDir: string): Promise<State | undefined> {
  const text = await readFile(file(runDir), "utf8").catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as State);
}

/** The spaces whose init is gone. */
export async function deadSpaces(runDir: string, { hub, nodes }: State): Promise<string[]> {
  const dead: string[] = [];
  for (const { name, pid } of [hub, ...nodes]) if (!(await stillRuns(runDir, pid))) dead.push(name);
  return dead;
}

// --- one at a time ---

/** Another process is bringing this cluster up or down right now. */
export class BusyError extends Error {}

/** Makes the directory and its records, and keeps others off it until it is disposed of.
 *  @throws {BusyError} while a living process has it. @throws {Error} when it holds something that is not ours. */
export async function lockRunDir(runDir: string): Promise<AsyncDisposable> {
  const found: string[] = await readdir(runDir).catch(() => []);
  // What is in it will be deleted.
  if (found.length > 0 && !found.includes("started")) throw new Error(`Cannot use "${runDir}" as a run directory: it holds other things`);
  for (const sub of ["started", "cgroups"]) await mkdir(join(runDir, sub), { recursive: true, mode: 0o755 });
  const path = join(runDir, "busy");
  for (;;) {
    const handle = await open(path, "wx").catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
    if (handle) {
      await handle.writeFile((await identify(process.pid)) ?? "");
      await handle.close();
      return { [Symbol.asyncDispose]: () => rm(path, { force: true }) };
    }
    const holder = await readFile(path, "utf8").catch(() => "");
    const isYoung = Date.now() - (await stat(path).catch(() => ({ mtimeMs: 0 }))).mtimeMs < 2000;
    if (holder === "" ? isYoung : await isAlive(holder))
      throw new BusyError(`Cannot work on "${runDir}": process ${holder.split(" ")[1]} does`);
    await rm(path, { force: true });
  }
}
