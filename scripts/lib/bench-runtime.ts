import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { type Bench, waitFor } from "./bench.ts";
import { run } from "./command.ts";
import { recordProcess } from "./run-dir.ts";

const main = new URL("../../src/main.ts", import.meta.url).pathname;

/** A line of the runtime's log and when it came, by this process's clock. */
type Line = { readonly text: string; readonly at: number };

/** The runtime as a child process, in a database of its own. */
export class BenchRuntime {
  readonly dbName: string;
  readonly #bench: Bench;
  #child: ChildProcess | undefined;
  #lines: Line[] = [];

  constructor(bench: Bench, dbName: string) {
    this.#bench = bench;
    this.dbName = dbName;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Milliseconds that its program takes to load and say its version, and nothing more. */
  async load(): Promise<number> {
    const began = performance.now();
    await run(process.execPath, [main, "--version"]);
    return performance.now() - began;
  }

  /** Spawns it; `env` wins over what it runs with otherwise.
   *  @param command what node runs. @default this checkout's source */
  async spawn(env: NodeJS.ProcessEnv = {}, command: readonly string[] = [main]): Promise<void> {
    const { runDir, mongoUri, dockerHost } = this.#bench;
    const own = {
      MONGO_URI: mongoUri,
      DOCKER_HOST: dockerHost,
      DB_NAME: this.dbName,
      STATE_DIR: join(runDir, "state"),
      HTTP_PORT: "0",
      LOG_FORMAT: "text",
    };
    const child = spawn(process.execPath, command, {
      stdio: ["ignore", "pipe", "inherit"],
      detached: true,
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...own, ...env },
    });
    this.#child = child;
    this.#lines = [];
    child.stdout.pipe(createWriteStream(join(runDir, `${this.dbName}.log`), { flags: "a" }));
    createInterface(child.stdout).on("line", (text) => this.#lines.push({ text, at: performance.now() }));
    if (child.pid !== undefined) await recordProcess(runDir, child.pid);
  }

  /** Spawns it and waits until it leads. */
  async start(env: NodeJS.ProcessEnv = {}): Promise<void> {
    await this.spawn(env);
    await waitFor("the runtime leads", 60_000, async () => this.said("leader: this process leads").length > 0);
  }

  /** When it said this since its last start, by this process's clock. */
  said(words: string): readonly number[] {
    return this.#lines.filter(({ text }) => text.includes(words)).map(({ at }) => at);
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }
}
