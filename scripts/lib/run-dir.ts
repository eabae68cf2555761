// A run directory remembers who made it and what that process started, so that the next run can end what a killed
// creator left behind. Invariant: a process is only ever killed by its identity (boot, pid, start time), never by pid
// alone, for the kernel hands pids out again.
import { mkdir, mkdtemp, readFile, readdir, rm, rmdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import type { Say } from "./cache.ts";
import { run } from "./command.ts";

// Not os.tmpdir(): sockets live here, and their paths must stay below 107 bytes.
const base = "/tmp";
const prefix = `bot-runner-${process.getuid?.() ?? 0}-`;

export interface Run {
  readonly dir: string;
  readonly remove: () => Promise<void>;
}

export async function openRun(): Promise<Run> {
  const dir = await mkdtemp(join(base, prefix));
  await mkdir(join(dir, "started"));
  await mkdir(join(dir, "cgroups"));
  await writeFile(join(dir, "owner"), (await identify(process.pid)) ?? "");
  return { dir, remove: () => rm(dir, { recursive: true, force: true, maxRetries: 5 }) };
}

/** To be called right after the start of anything that must not outlive its creator. */
export async function recordProcess(runDir: string, pid: number): Promise<void> {
  const identity = await identify(pid);
  if (identity) await writeFile(join(runDir, "started", String(pid)), identity);
}

/** To be called before the cgroup can come to be. */
export async function recordCgroup(runDir: string, name: string): Promise<void> {
  await writeFile(join(runDir, "cgroups", name), "");
}

/** Ends and removes what runs whose creator is dead have left. Living runs are not touched. */
export function cleanStaleRuns(say: Say): Promise<void> {
  return cleanRuns(async (dir, owner) => {
    // No owner yet: its creator is between two calls of openRun; an old one died there.
    const young = Date.now() - (await stat(dir).catch(() => ({ mtimeMs: 0 }))).mtimeMs < 10_000;
    if (owner === "" ? young : await isAlive(owner)) return false;
    say(`cleaning up what a killed run left in ${dir}`);
    return true;
  });
}

/** The same for all runs of this process, which is to end now. */
export async function cleanOwnRuns(): Promise<void> {
  const self = await identify(process.pid);
  await cleanRuns(async (_, owner) => owner === self);
}

async function cleanRuns(isOver: (dir: string, owner: string) => Promise<boolean>): Promise<void> {
  for (const name of await readdir(base)) {
    const dir = join(base, name);
    if (!name.startsWith(prefix) || (await stat(dir).catch(() => undefined))?.uid !== process.getuid?.()) continue;
    if (!(await isOver(dir, await readFile(join(dir, "owner"), "utf8").catch(() => "")))) continue;
    await endStarted(dir);
    await rm(dir, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Ends the processes that this run directory knows of, and removes its cgroups and mounts. Whoever made it need not live. */
export async function endStarted(dir: string): Promise<void> {
  for (const pid of await readdir(join(dir, "started")).catch(() => [])) {
    await endProcess(await readFile(join(dir, "started", pid), "utf8"));
  }
  for (const name of await readdir(join(dir, "cgroups")).catch(() => [])) await removeCgroup(name);
  await unmountBelow(dir);
}

/** Whether the process that was recorded under this pid still runs. */
export async function stillRuns(runDir: string, pid: number): Promise<boolean> {
  const identity = await readFile(join(runDir, "started", String(pid)), "utf8").catch(() => "");
  return identity !== "" && isAlive(identity);
}

/** Removes the cgroup of this name, with its children, from each hierarchy (one in v2, several in v1). */
export async function removeCgroup(name: string): Promise<void> {
  const root = "/sys/fs/cgroup";
  const controllers = await readdir(root).catch(() => []);
  for (const dir of [root, ...controllers.map((c) => join(root, c))]) await removeTree(join(dir, name));
}

/** What a test had mounted for itself: its content is of no use to anybody. */
async function unmountBelow(dir: string): Promise<void> {
  const mounts = (await readFile("/proc/self/mounts", "utf8")).split("\n").map((line) => line.split(" ")[1] ?? "");
  for (const path of mounts.filter((mount) => mount.startsWith(`${dir}/`))) await run("umount", ["--lazy", path]);
}

async function removeTree(dir: string): Promise<void> {
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(dir, entry.name));
  // A cgroup is busy for a moment after its last process has gone.
  for (let attempt = 0; entries.length > 0 && attempt < 40; attempt++) {
    if (
      await rmdir(dir).then(
        () => true,
        (error: NodeJS.ErrnoException) => error.code === "ENOENT",
      )
    )
      return;
    await sleep(50);
  }
}

async function endProcess(identity: string): Promise<void> {
  if (!(await isAlive(identity))) return;
  process.kill(pidOf(identity), "SIGKILL");
  for (let waited = 0; waited < 20_000 && (await isAlive(identity)); waited += 50) await sleep(50);
}

const pidOf = (identity: string): number => Number(identity.split(" ")[1]);
export const isAlive = async (identity: string): Promise<boolean> => (await identify(pidOf(identity))) === identity;

/** Boot id, pid and start time in clock ticks: one process for all time. Undefined when there is no such process. */
export async function identify(pid: number): Promise<string | undefined> {
  const line = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  if (line === undefined) return undefined;
  // The command name in parentheses may hold blanks; what follows it does not. A zombie counts as gone.
  const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
  if (fields[0] === "Z") return undefined;
  const boot = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
  return `${boot} ${pid} ${fields[19]}`;
}
