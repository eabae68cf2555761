import { spawn } from "node:child_process";
import { mkdir, open, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ConfigurationError } from "../core/errors.ts";
import type { Epoch, SegmentId } from "../core/ids.ts";
import { readIfThere } from "./kept-line.ts";

/** Makes the directory that outlives this process. @throws {ConfigurationError} when it cannot be written. */
export async function openStateDir(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await writeFile(join(path, ".writable"), "");
  } catch (cause) {
    throw new ConfigurationError(
      `STATE_DIR: cannot write to "${path}": make it writable for this user, or set STATE_DIR to another directory`,
      { cause },
    );
  }
}

export type ProcessLock = { /** Aborts if the lock is lost while we live. */ readonly lost: AbortSignal; release(): Promise<void> };

/** One process per directory, for as long as it lives: flock(1) holds the lock in a child that ends when our end
 *  of its pipe closes, which the kernel does however we die. The child has a session of its own, so that a Ctrl-C in
 *  the terminal does not take the lock from a process that is still draining.
 *  @throws {ConfigurationError} when another process holds it. */
export async function lockStateDir(variable: "STATE_DIR" | "FENCE_DIR", path: string): Promise<ProcessLock> {
  const lost = new AbortController();
  const child = spawn("flock", ["--nonblock", "--conflict-exit-code", "75", join(path, "lock"), "sh", "-c", "echo held; exec cat"], {
    stdio: ["pipe", "pipe", "ignore"],
    detached: true,
  });
  const { promise: ended, resolve: onEnd } = Promise.withResolvers<number | null>();
  const { promise: held, resolve: onHeld } = Promise.withResolvers<"held">();
  child.once("error", () => onEnd(null));
  child.once("exit", (code) => onEnd(code));
  child.stdin.on("error", () => {}); // EPIPE when the child is gone: `ended` tells
  child.stdout.once("data", () => onHeld("held"));
  const first = await Promise.race([held, ended]);
  if (first === 75)
    throw new ConfigurationError(
      `Cannot start a second runtime on ${variable} "${path}": another process holds its lock. Stop that process, or set ${variable} to another directory`,
    );
  if (first !== "held")
    throw new ConfigurationError(`Cannot lock ${variable} "${path}": it must be there, writable, and flock(1) installed (util-linux)`);
  void ended.then(() => lost.abort(new Error(`Cannot go on: the lock on ${variable} was lost`)));
  return {
    lost: lost.signal,
    release: async () => {
      child.stdin.end();
      await ended;
    },
  };
}

/** The highest epoch of each segment that was released from here, in one life of the database: in another one epochs begin
 *  anew, and may begin lower. Written before the store is told; a line is one append, so a torn one can only be the last
 *  and is of a release that did not happen. */
export class ReleasedFile {
  readonly #path: string;
  readonly #epochs: Map<SegmentId, Epoch>;

  private constructor(path: string, epochs: Map<SegmentId, Epoch>) {
    this.#path = path;
    this.#epochs = epochs;
  }

  /** Reads and compacts the file: it grows by one line a release and shrinks to one line a segment at each start.
   *  `incarnation` names the life of the database; what was released in another one is forgotten. */
  static async open(stateDir: string, incarnation: string): Promise<ReleasedFile> {
    const path = join(stateDir, "released");
    const text = await readIfThere(path);
    const epochs = new Map<SegmentId, Epoch>();
    const life = /^life (.*)$/m.exec(text)?.[1];
    // A file of an older version names no life; it is believed, for it may be of this one.
    if (life === undefined || life === incarnation)
      for (const [, segment, epoch] of text.matchAll(/^(\d+) (\d+)$/gm)) {
        const id = Number(segment) as SegmentId;
        epochs.set(id, Math.max(Number(epoch), epochs.get(id) ?? 0) as Epoch);
      }
    await writeFile(`${path}.new`, [`life ${incarnation}\n`, ...[...epochs].map(([s, e]) => `${s} ${e}\n`)].join(""), { flush: true });
    await rename(`${path}.new`, path);
    return new ReleasedFile(path, epochs);
  }

  epochOf(segment: SegmentId): Epoch | undefined {
    return this.#epochs.get(segment);
  }

  async append(segment: SegmentId, epoch: Epoch): Promise<void> {
    const file = await open(this.#path, "a", 0o600);
    try {
      await file.write(`${segment} ${epoch}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    this.#epochs.set(segment, epoch);
  }
}
