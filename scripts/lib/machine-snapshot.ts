// What a run must leave as it found it, as sorted lines of text, so that a difference reads as a diff.
import { readdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";

import { run } from "./command.ts";
import { findProgram } from "./debian.ts";

type Section = "processes" | "mounts" | "networkNamespaces" | "links" | "cgroups" | "firewall";
export type Snapshot = Readonly<Record<Section, readonly string[]>>;

/** The machine as it is now. Of processes, those that could be ours: in our cgroup, or in one that our engines make.
 *  What others do on this machine meanwhile is not ours; neither are kernel threads. This process and its children are
 *  left out. */
export async function snapshot(): Promise<Snapshot> {
  return {
    processes: await processes(),
    mounts: (await lines("/proc/self/mounts")).toSorted(),
    networkNamespaces: await networkNamespaces(),
    links: (await readdir("/sys/class/net")).toSorted(),
    cgroups: await cgroups(),
    firewall: await firewall(),
  };
}

/** One line per difference, "+" for what came and "-" for what went; empty when nothing did. */
export function compareSnapshots(before: Snapshot, after: Snapshot): string[] {
  return (Object.keys(before) as Section[]).flatMap((section) => [
    ...without(after[section], before[section]).map((line) => `+ ${section}: ${line}`),
    ...without(before[section], after[section]).map((line) => `- ${section}: ${line}`),
  ]);
}

// As bags: a second bridge or process of one kind is a difference.
function without(lines: readonly string[], others: readonly string[]): string[] {
  const left = [...others];
  return lines.filter((line) => {
    const at = left.indexOf(line);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}

const lines = async (path: string): Promise<string[]> => (await readFile(path, "utf8")).split("\n").filter((line) => line !== "");

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly text: string;
}

async function processes(): Promise<string[]> {
  const own = await readFile("/proc/self/cgroup", "utf8");
  const all = (await Promise.all((await pids()).map((pid) => describe(pid, own)))).filter((p) => p !== undefined);
  const mine = new Set([process.pid]);
  // Parents have no smaller pids for sure, so repeat until nothing new is found.
  for (let size = 0; size !== mine.size;) {
    size = mine.size;
    for (const { pid, parent } of all) if (mine.has(parent)) mine.add(pid);
  }
  return all
    .filter(({ pid, text }) => text !== "" && !mine.has(pid))
    .map(({ pid, text }) => `${pid} ${text}`)
    .toSorted();
}

async function describe(pid: number, ownCgroup: string): Promise<Process | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    const end = stat.lastIndexOf(")");
    const [state, parent] = stat.slice(end + 2).split(" ");
    // A kernel thread has no command line, a zombie neither; the latter is a leak, the former is not ours.
    const command = (await readFile(`/proc/${pid}/cmdline`, "utf8")).replaceAll("\0", " ").trim().slice(0, 120);
    const cgroup = await readFile(`/proc/${pid}/cgroup`, "utf8");
    if (state !== "Z" && cgroup !== ownCgroup && !cgroup.includes("bot-runner-")) return undefined;
    const text = state === "Z" ? `zombie ${stat.slice(stat.indexOf("("), end + 1)}` : command;
    return { pid, parent: Number(parent), text };
  } catch {
    // It ended while we read.
    return undefined;
  }
}

const pids = async (): Promise<number[]> => (await readdir("/proc")).map(Number).filter((n) => Number.isInteger(n));

// Those that a process lives in, and those that only a mounted name holds.
async function networkNamespaces(): Promise<string[]> {
  const held = await Promise.all((await pids()).map((pid) => readlink(`/proc/${pid}/ns/net`).catch(() => undefined)));
  const named = await readdir("/run/netns").catch(() => []);
  return [...new Set(held.filter((id) => id !== undefined)), ...named].toSorted();
}

async function cgroups(): Promise<string[]> {
  const found: string[] = [];
  const walk = async (dir: string): Promise<void> => {
    for (const entry of await readdir(dir, { withFileTypes: true }).catch(() => [])) {
      if (!entry.isDirectory()) continue;
      found.push(join(dir, entry.name));
      await walk(join(dir, entry.name));
    }
  };
  await walk("/sys/fs/cgroup");
  return found.toSorted();
}

// Both back ends of iptables keep rules of their own. Counters and comments with the time of day are not rules, and
// neither is an empty table: merely to list one creates it.
async function firewall(): Promise<string[]> {
  const found: string[] = [];
  for (const name of ["iptables-nft-save", "ip6tables-nft-save", "iptables-legacy-save", "ip6tables-legacy-save"]) {
    const program = await findProgram(name);
    if (program === undefined) continue;
    const rules = (await run(program, []).catch(() => "")).split("\n").map((rule) => rule.replace(/\[\d+:\d+\]/, "").trim());
    found.push(
      ...rules.filter((rule) => /^(-|:(?!(PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING) ACCEPT))/.test(rule)).map((r) => `${name} ${r}`),
    );
  }
  return found;
}
