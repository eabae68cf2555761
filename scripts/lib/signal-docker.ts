import { readdir, readFile } from "node:fs/promises";

import { sendSignal } from "./send-signal.ts";

/** Signals the dockerd of a run, which is found by the run directory in its command line. */
export async function signalDocker(runDir: string, name: NodeJS.Signals): Promise<void> {
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const words = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
    const isDaemon = /(^|\/)dockerd$/.test(words[0] ?? "");
    if (isDaemon && words.some((word) => word.startsWith(runDir))) sendSignal(Number(pid), name);
  }
}
