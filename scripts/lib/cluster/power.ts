// What happens to a whole machine: all its processes stand still, or are gone at once, and later go on or start again. The
// namespaces with their network and disks stay, as the body of a real machine does.
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { sendSignal } from "../send-signal.ts";
import { type Space, want } from "./space.ts";

type Process = { readonly pid: number; readonly parent: number; readonly state: string };

/** Stops everything on the node at once: kubelet, containerd, pods, bots. */
export async function freeze(space: Space): Promise<void> {
  // One that was started while we looked is found by the next look; what stands still starts nothing.
  for (let looks = 0; looks < 20; looks++) {
    const awake = (await processesOf(space)).filter(({ state }) => !"TtZX".includes(state));
    if (awake.length === 0) return;
    for (const { pid } of awake) sendSignal(pid, "SIGSTOP");
    await sleep(2);
  }
  throw new Error(`Cannot freeze ${space.name}: it goes on starting processes`);
}

/** Lets everything go on that stands still. */
export async function thaw(space: Space): Promise<void> {
  for (const { pid, state } of await processesOf(space)) if (state === "T") sendSignal(pid, "SIGCONT");
}

/** Ends everything on the node at once, but for what stands for its body. Nothing starts again before `boot`. */
export async function crash(space: Space, programs: readonly string[]): Promise<void> {
  for (const name of programs) await rm(join(space.dir, "wanted", name), { force: true });
  for (let looks = 0; looks < 50; looks++) {
    const left = [];
    for (const { pid, state } of await processesOf(space)) if (pid !== space.pid && state !== "Z" && !(await isBody(pid))) left.push(pid);
    if (left.length === 0) return;
    for (const pid of left) sendSignal(pid, "SIGKILL");
    await sleep(5);
  }
  throw new Error(`Cannot end what runs on ${space.name}`);
}

export async function boot(space: Space, programs: readonly string[]): Promise<void> {
  for (const name of programs) await want(space, name);
}

/** The init's shells, and what these pause with. */
async function isBody(pid: number): Promise<boolean> {
  const words = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  return words.includes("/space-init.sh\0") || words === "sleep\x000.1\0";
}

/** The init and all that descends from it: whatever loses its parent on a node becomes the init's child. */
async function processesOf({ pid: init }: Space): Promise<Process[]> {
  const all = (await Promise.all((await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(readProcess))).filter(
    (found) => found !== undefined,
  );
  const children = Map.groupBy(all, ({ parent }) => parent);
  const found = all.filter(({ pid }) => pid === init);
  // The list grows while it is walked.
  for (const { pid } of found) found.push(...(children.get(pid) ?? []));
  return found;
}

async function readProcess(pid: string): Promise<Process | undefined> {
  const line = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  if (line === undefined) return undefined;
  // The name in parentheses may hold blanks.
  const [state = "?", parent] = line.slice(line.lastIndexOf(")") + 2).split(" ");
  return { pid: Number(pid), parent: Number(parent), state };
}
