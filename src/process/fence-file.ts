import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { MonoMs } from "../core/clock.ts";
import type { FenceFile as FenceWord } from "../core/fence.ts";

export class FenceFile {
  readonly bootId = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  readonly #dir: string;
  constructor(dir: string) {
    this.#dir = dir;
  }
  write({ deadline, reading, bootId }: FenceWord): void {
    const path = join(this.#dir, "deadline");
    writeFileSync(`${path}.new`, `${Math.floor(deadline / 10)} ${Math.floor(reading / 10)} ${bootId}\n`);
    renameSync(`${path}.new`, path);
  }
  readTick(): { now: MonoMs; bootId: string; state: string; trips: number } | undefined {
    try {
      const [, now, bootId, state, trips] = /^(\d+) (\S+) (\S+) (\d+)\n$/.exec(readFileSync(join(this.#dir, "tick"), "latin1")) ?? [];
      return now === undefined
        ? undefined
        : { now: (Number(now) * 10) as MonoMs, bootId: bootId ?? "", state: state ?? "", trips: Number(trips) };
    } catch {
      return undefined;
    }
  }
}
