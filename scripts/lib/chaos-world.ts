// The parts that chaos happens to: an engine, a registry, a MongoDB server and a runtime of their own, each of which can be
// stopped, killed and brought back.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, type WriteStream } from "node:fs";
import { join } from "node:path";

import { type Db, MongoClient } from "mongodb";

import { ensureBotImage } from "./bot-image.ts";
import type { Place } from "./cache.ts";
import { ChaosRegistry, removePulled } from "./chaos-registry.ts";
import { type DockerProxy, proxyDocker } from "./docker-proxy.ts";
import { type PrivateDocker, startPrivateDocker } from "./private-docker.ts";
import { type PrivateMongo, startPrivateMongo } from "./private-mongo.ts";
import { recordProcess } from "./run-dir.ts";
import { sendSignal } from "./send-signal.ts";
import { signalDocker } from "./signal-docker.ts";

const DB_NAME = "chaos";
/** What the runtime says after each look at what runs. */
const LOOKED = "Compared containers with what should run";
const main = new URL("../../src/main.ts", import.meta.url).pathname;

export class ChaosWorld {
  readonly registry: ChaosRegistry;
  readonly #place: Place;
  readonly #log: WriteStream;
  #docker: PrivateDocker | undefined;
  #proxy: DockerProxy | undefined;
  #mongo: PrivateMongo | undefined;
  #runtime: ChildProcess | undefined;
  /** The last runtime that has looked at what runs. */
  #looked: ChildProcess | undefined;

  constructor(place: Place) {
    this.#place = place;
    this.registry = new ChaosRegistry(place);
    this.#log = createWriteStream(this.logPath);
  }

  get logPath(): string {
    return join(this.#place.runDir, "runtime.log");
  }

  get dockerHost(): string {
    return this.#docker?.dockerHost ?? "";
  }

  /** A user's work with the database; while MongoDB is away he waits. */
  async withDb<T>(act: (db: Db) => Promise<T>): Promise<T> {
    const client = new MongoClient(this.#mongoUri, { serverSelectionTimeoutMS: 5_000, socketTimeoutMS: 10_000 });
    try {
      return await act(client.db(DB_NAME));
    } finally {
      await client.close();
    }
  }

  get #mongoUri(): string {
    return this.#mongo?.uri ?? "";
  }

  async start(): Promise<void> {
    this.#docker = await startPrivateDocker(this.#place);
    this.#proxy = await proxyDocker(this.dockerHost, join(this.#place.runDir, "proxy.sock"));
    await ensureBotImage(this.dockerHost, this.#place.cacheDir, this.#place.say);
    await removePulled(this.dockerHost);
    await this.registry.start(this.dockerHost);
    await this.startMongo();
    await this.startRuntime();
  }

  async startMongo(): Promise<void> {
    const port = this.#mongo === undefined ? {} : { port: this.#mongo.port };
    // Acknowledged writes must outlive a SIGKILL: without the flag they would be lost, which no runtime can mend.
    this.#mongo = await startPrivateMongo({
      ...this.#place,
      ...port,
      storagePath: join(this.#place.runDir, "chaos-db"),
      flags: ["--sync-on-commit", "--enable-test-commands"],
    });
  }

  async killMongo(): Promise<void> {
    if (this.#mongo !== undefined) sendSignal(this.#mongo.pid, "SIGKILL");
    await this.#mongo?.stop();
  }

  signalMongo(name: NodeJS.Signals): void {
    if (this.#mongo !== undefined) sendSignal(this.#mongo.pid, name);
  }

  /** The daemon is killed, and with it every bot; what it knew of them stays on its disk. */
  async restartDocker(): Promise<void> {
    await this.signalDocker("SIGKILL");
    await this.#docker?.restart();
    await this.registry.start(this.dockerHost);
  }

  async signalDocker(name: NodeJS.Signals): Promise<void> {
    await signalDocker(this.#place.runDir, name);
  }

  /** The runtime's event stream ends, and its calls under way get no answer. */
  cutDocker(): void {
    this.#proxy?.cut();
  }

  /** What the runtime asks for next is done, and it does not hear of it. */
  loseDockerReplies(count: number): void {
    this.#proxy?.loseReplies(count);
  }

  async startRuntime(): Promise<void> {
    const { runDir } = this.#place;
    const child = spawn(process.execPath, [main], {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        MONGO_URI: this.#mongoUri,
        DOCKER_HOST: this.#proxy?.at,
        DB_NAME,
        STATE_DIR: join(runDir, "state"),
        HTTP_PORT: "0",
        LOG_FORMAT: "text",
        LOG_LEVEL: "debug",
      },
    });
    child.stdout.on("data", (said: Buffer) => {
      if (said.includes(LOOKED)) this.#looked = child;
    });
    child.stdout.pipe(this.#log, { end: false });
    child.stderr.pipe(this.#log, { end: false });
    this.#runtime = child;
    if (child.pid !== undefined) await recordProcess(runDir, child.pid);
  }

  /** Until it has, what is as it should be is the work of the runtime before it. */
  get runtimeHasLooked(): boolean {
    return this.#looked === this.#runtime;
  }

  get runtimeHasEnded(): boolean {
    return this.#runtime === undefined || this.#runtime.exitCode !== null || this.#runtime.signalCode !== null;
  }

  /** Sends a signal; with one that ends it, waits for the end and gives the exit code. */
  async signalRuntime(name: NodeJS.Signals): Promise<number | undefined> {
    if (this.#runtime === undefined || this.runtimeHasEnded) return this.#runtime?.exitCode ?? undefined;
    const ended = once(this.#runtime, "exit");
    this.#runtime.kill(name);
    if (name === "SIGSTOP" || name === "SIGCONT") return undefined;
    const [code] = (await ended) as [number | null];
    return code ?? undefined;
  }

  async stop(): Promise<void> {
    await this.signalDocker("SIGCONT");
    this.signalMongo("SIGCONT");
    this.#runtime?.kill("SIGCONT");
    await this.signalRuntime("SIGKILL");
    await this.#proxy?.stop();
    // A start that failed may have left no engine to ask.
    await removePulled(this.dockerHost).catch((error: unknown) => this.#place.say(`cannot remove the pulled images: ${String(error)}`));
    await this.registry.stop();
    await this.#docker?.stop();
    await this.#mongo?.stop();
    this.#log.end();
  }
}
