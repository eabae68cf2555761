import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";

import type { Say } from "./cache.ts";

export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Output goes to this file instead of into the result. */
  readonly toFile?: string;
  /** The command gets no Ctrl-C of ours: half an installation is worse than a late end. */
  readonly uninterrupted?: boolean;
  /** @default 15 minutes */
  readonly timeoutMs?: number;
}

/** Runs a command to its end and returns what it printed. @throws with the last lines when it fails. */
export async function run(command: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    detached: options.uninterrupted ?? false,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: options.env ?? process.env,
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  const file = options.toFile === undefined ? undefined : createWriteStream(options.toFile);
  if (file) child.stdout.pipe(file);
  else child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
  // Not spawn's own timeout: where there is no such program its timer stays, and keeps the whole process for that long.
  const limit = setTimeout(() => child.kill(), options.timeoutMs ?? 900_000);
  const code = await new Promise<number | string>((done, fail) => {
    child.once("error", fail);
    child.once("close", (status, signal) => done(status ?? signal ?? "?"));
  }).finally(() => clearTimeout(limit));
  if (file) await finished(file);
  if (code === 0) return Buffer.concat(out).toString();
  const said = Buffer.concat([...out, ...err])
    .toString()
    .trim()
    .split("\n")
    .slice(-15)
    .join("\n");
  throw new Error(`Cannot run "${[command, ...args].join(" ").slice(0, 200)}" (${code}):\n${said}`);
}

/** Tries up to four times, 2, 4 and 8 s apart: mirrors and registries fail now and then. */
export async function withRetry<T>(what: string, say: Say, action: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await action();
    } catch (error) {
      if (attempt === 4) throw new Error(`Cannot ${what} in ${attempt} attempts`, { cause: error });
      say(`cannot ${what} yet, trying again in ${2 ** attempt} s`);
      await sleep(2000 * 2 ** (attempt - 1));
    }
  }
}

/** Polls `action` until it gives a value, every so often in ms, or less often where a look takes long: four fifths of the time nobody
 *  looks, or who waits would hold up what is waited for. @throws {Error} naming `what` when `timeoutMs` have passed. */
export async function until<T>(what: string, timeoutMs: number, action: () => Promise<T | undefined>, everyMs = 50): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const began = performance.now();
    const value = await action();
    if (value !== undefined) return value;
    const now = performance.now();
    if (now > end) throw new Error(`Cannot see ${what} within ${timeoutMs / 1000} s`);
    await sleep(Math.max(everyMs, Math.min(MAX_PAUSE_MS, 4 * (now - began))));
  }
}

/** Between two looks that take long. */
const MAX_PAUSE_MS = 1_000;
