import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import type { MonoMs } from "../core/clock.ts";
import type { FenceFile as FenceWord } from "../core/fence.ts";

/** Times in the files are whole hundredths of a second, as /proc/uptime has them; in ms. */
const UNIT_MS = 10;

/** A tmpfs, by its magic number in statfs(2). */
const TMPFS = 0x01021994;

/** What the fence says of the Engine that it started last: where bots lie, or why not there, and what they cannot reach. */
type Ground = {
  readonly cgroup: { readonly version: string; readonly parent: string } | { readonly version: string; readonly why: string };
  readonly denied: readonly string[];
  readonly ports: readonly number[];
};

/** What the fence says of itself at a poll. */
type Tick = { readonly now: MonoMs; readonly bootId: string; readonly state: string; readonly trips: number };

/** The files in the directory that worker and fence share. Synchronous: they lie in memory, and the writer is a thread of
 *  its own that has nothing else to do. */
export class FenceFile {
  /** Which boot of the machine this is: the same for all containers of one kernel. */
  readonly bootId = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
  }

  /** Replaces the deadline at once, so that no reader sees half of it. @throws what the system says */
  write({ deadline, reading, bootId }: FenceWord): void {
    const path = join(this.dir, "deadline");
    writeFileSync(`${path}.new`, `${Math.floor(deadline / UNIT_MS)} ${Math.floor(reading / UNIT_MS)} ${bootId}\n`);
    renameSync(`${path}.new`, path);
  }

  /** Undefined when there is none yet, or when it was read half-written. */
  readTick(): Tick | undefined {
    let text: string;
    try {
      text = readFileSync(join(this.dir, "tick"), "latin1");
    } catch {
      return undefined;
    }
    const [, now, bootId = "", state = "", trips] = /^(\d+) (\S+) (\S+) (\d+)\n$/.exec(text) ?? [];
    return now === undefined ? undefined : { now: (Number(now) * UNIT_MS) as MonoMs, bootId, state, trips: Number(trips) };
  }

  /** Undefined when no Engine was started yet, or the fence is one that does not tell. */
  readGround(): Ground | undefined {
    let text: string;
    try {
      text = readFileSync(join(this.dir, "engine"), "latin1");
    } catch {
      return undefined;
    }
    const [, version = "", parent = "", why = ""] = /^cgroup (\S+) (\S+)(?: (.*))?$/m.exec(text) ?? [];
    if (version === "") return undefined;
    return {
      cgroup: parent === "-" ? { version, why } : { version, parent },
      denied: wordsOf(text, "denied"),
      ports: wordsOf(text, "ports").map(Number),
    };
  }

  async isMemory(): Promise<boolean> {
    return (await statfs(this.dir)).type === TMPFS;
  }
}

/** The words of the line that begins with this one. */
function wordsOf(text: string, name: string): string[] {
  const line = text.split("\n").find((one) => one.startsWith(`${name} `)) ?? "";
  return line
    .split(" ")
    .slice(1)
    .filter((word) => word !== "");
}
