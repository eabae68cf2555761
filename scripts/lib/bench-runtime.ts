import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { type Bench, waitFor } from "./bench.ts";
import { recordProcess } from "./run-dir.ts";

const main = new URL("../../src/main.ts", import.meta.url).pathname;

/** The runtime as a child process, in a database of its own. */
export class BenchRuntime {
  readonly dbName: string;
  readonly #bench: Bench;
  #child: ChildProcess | undefined;

  constructor(bench: Bench, dbName: string) {
    this.#bench = bench;
    this.dbName = dbName;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get logPath(): string {
    return join(this.#bench.runDir, `${this.dbName}.log`);
  }

  async start(env: NodeJS.ProcessEnv = {}): Promise<void> {
    const { runDir, mongoUri, dockerHost } = this.#bench;
    const own = {
      MONGO_URI: mongoUri,
      DOCKER_HOST: dockerHost,
      DB_NAME: this.dbName,
      STATE_DIR: join(runDir, "state"),
      HTTP_PORT: "0",
      LOG_FORMAT: "text",
    };
    const child = spawn(process.execPath, [main], {
      stdio: ["ignore", "pipe", "inherit"],
      detached: true,
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...own, ...env },
    });
    this.#child = child;
    child.stdout.pipe(createWriteStream(this.logPath));
    if (child.pid !== undefined) await recordProcess(runDir, child.pid);
    await waitFor("the runtime leads", 60_000, async () =>
      (await readFile(this.logPath, "utf8").catch(() => "")).includes("leader: this process leads"),
    );
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }
}
