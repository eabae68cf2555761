// The processes of a pod as this machine sees them, whatever namespaces they live in.
import { readdir, readFile } from "node:fs/promises";

import { sendSignal } from "../../lib/send-signal.ts";

/** `runtime`: the worker's process, below its init. `fence`: PID 1 of the Engine's container. `dockerd`: the Engine. */
export type Part = "runtime" | "fence" | "dockerd";

type PodName = { readonly name: string; readonly uid: string };

/** Sends a signal to these parts of the pod, one right after the other. @throws {Error} when one of them does not run. */
export async function signalParts(pod: PodName, parts: readonly Part[], signal: NodeJS.Signals): Promise<void> {
  for (const pid of await pidsOf(pod, parts)) sendSignal(pid, signal);
}

/** Its process ids here, in the order of the parts. @throws {Error} when one of them does not run. */
export async function pidsOf({ name, uid }: PodName, parts: readonly Part[]): Promise<number[]> {
  const found = await findParts(uid);
  return parts.map((part) => {
    const pid = found.get(part);
    if (pid === undefined) throw new Error(`Cannot reach ${part} of ${name}: it does not run`);
    return pid;
  });
}

/** Lets those go on that still stand. */
export async function resumeParts({ uid }: { readonly uid: string }): Promise<void> {
  for (const pid of (await findParts(uid)).values()) sendSignal(pid, "SIGCONT");
}

async function findParts(uid: string): Promise<Map<Part, number>> {
  const found = new Map<Part, number>();
  await Promise.all(
    (await readdir("/proc")).map(async (pid) => {
      if (!/^\d+$/.test(pid)) return;
      const cgroup = await readFile(`/proc/${pid}/cgroup`, "utf8").catch(() => "");
      if (!cgroup.includes(`pod${uid}`)) return;
      const words = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
      const part = partOf(words);
      if (part === "fence" && !(await isFirst(pid))) return;
      if (part !== undefined) found.set(part, Number(pid));
    }),
  );
  return found;
}

function partOf(words: readonly string[]): Part | undefined {
  const [program = ""] = words;
  if (program === "node" && words.includes("dist/main.js")) return "runtime";
  if (words[1] === "/opt/bot-runner/fence.sh" && words[2] !== "probe") return "fence";
  return /(^|\/)dockerd$/.test(program) ? "dockerd" : undefined;
}

/** The fence's own subshells look like it. */
async function isFirst(pid: string): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return /^NSpid:.*\t1$/m.test(status);
}
