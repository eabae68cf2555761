import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, type WriteStream } from "node:fs";

import { recordProcess } from "../lib/run-dir.ts";

export type KeptOptions = {
  readonly runDir: string;
  readonly command: readonly [string, ...string[]];
  readonly env: NodeJS.ProcessEnv;
  readonly logPath: string;
  /** How long it stays down after each end, in ms. */
  readonly backOffMs: () => number;
  /** Called for each life, with its pid. */
  readonly onStart?: (pid: number) => void;
  /** Called for each end, with the exit code or the signal. */
  readonly onEnd?: (how: number | string) => void;
};

/** A process that is started again whenever it ends, as a kubelet does with a container.
 *
 *  down -start-> up -ends-> waiting -back-off-> up; any -hold-> held: it may end and stays down -start-> up. */
export class KeptProcess {
  readonly #options: KeptOptions;
  readonly #log: WriteStream;
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isKept = false;
  #starts = 0;

  constructor(options: KeptOptions) {
    this.#options = options;
    this.#log = createWriteStream(options.logPath, { flags: "a" });
  }

  get pid(): number | undefined {
    return this.isUp ? this.#child?.pid : undefined;
  }

  get isUp(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get starts(): number {
    return this.#starts;
  }

  get logPath(): string {
    return this.#options.logPath;
  }

  /** Starts it now, and again after each end. */
  async start(): Promise<void> {
    this.#isKept = true;
    clearTimeout(this.#timer);
    if (!this.isUp) await this.#spawn();
  }

  /** From now on an end is an end. */
  hold(): void {
    this.#isKept = false;
    clearTimeout(this.#timer);
  }

  signal(name: NodeJS.Signals): void {
    if (this.isUp) this.#child?.kill(name);
  }

  /** Resolves with the exit code or signal of the life that is on, or at once when there is none. */
  async ended(): Promise<number | string | undefined> {
    if (this.#child === undefined) return undefined;
    if (this.isUp) await once(this.#child, "exit");
    return this.#child.exitCode ?? this.#child.signalCode ?? undefined;
  }

  async stop(): Promise<void> {
    this.hold();
    this.signal("SIGKILL");
    await this.ended();
    this.#log.end();
  }

  async #spawn(): Promise<void> {
    const { command, env, runDir } = this.#options;
    const [program, ...args] = command;
    const child = spawn(program, args, { detached: true, stdio: ["ignore", "pipe", "pipe"], env });
    this.#child = child;
    this.#starts += 1;
    child.stdout.pipe(this.#log, { end: false });
    child.stderr.pipe(this.#log, { end: false });
    child.once("error", (error) => this.#log.write(`${String(error)}\n`));
    child.once("exit", (code, signal) => {
      this.#options.onEnd?.(code ?? signal ?? "?");
      if (this.#isKept) this.#timer = setTimeout(() => void this.#spawn(), this.#options.backOffMs());
    });
    if (child.pid === undefined) return;
    this.#options.onStart?.(child.pid);
    await recordProcess(runDir, child.pid);
  }
}
