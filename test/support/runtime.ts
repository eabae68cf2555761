import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import Docker from "dockerode";
import { type Collection, type Document, MongoClient, type ObjectId } from "mongodb";
import { eventually } from "./eventually.ts";

export type LogLine = { readonly level: string; readonly message: string } & Readonly<Record<string, unknown>>;

/** Any document, with whatever may stand in `_id`. */
export type Keyed = Document & { _id: string | number | ObjectId | { document: string } };

/** One runtime process under test, with a database and a state directory of its own on the suite's engine and server. */
export class TestRuntime {
  readonly dbName: string;
  readonly lines: LogLine[] = [];
  readonly client: MongoClient;
  readonly docker: Docker;
  readonly #env: NodeJS.ProcessEnv;
  #stateDir = "";
  #child: ChildProcess | undefined;
  #ended: Promise<number> = Promise.resolve(0);

  /** @param operatorUri who writes the bots; the runtime's own connection is MONGO_URI in `env`. */
  constructor(env: NodeJS.ProcessEnv = {}, operatorUri = process.env.MONGO_URI ?? "") {
    this.#env = env;
    this.dbName = env.DB_NAME ?? `br_${randomBytes(5).toString("hex")}`;
    this.client = new MongoClient(operatorUri);
    this.docker = new Docker({ socketPath: (process.env.DOCKER_HOST ?? "").replace("unix://", "") });
  }

  get bots(): Collection<Keyed> {
    return this.client.db(this.dbName).collection("bots");
  }

  runtimeCollection(name: string): Collection<Keyed> {
    return this.client.db(this.dbName).collection(`runtime.${name}`);
  }

  /** The environment of this runtime, also for its command line. */
  async env(): Promise<NodeJS.ProcessEnv> {
    this.#stateDir ||= await mkdtemp("/tmp/br-state-");
    return {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      MONGO_URI: process.env.MONGO_URI,
      DOCKER_HOST: process.env.DOCKER_HOST,
      DB_NAME: this.dbName,
      STATE_DIR: this.#stateDir,
      HTTP_PORT: "0",
      LOG_FORMAT: "json",
      LOG_LEVEL: "debug",
      SCALE_CHECK_INTERVAL_SECONDS: "1",
      ...this.#env,
    };
  }

  /** Starts the process and waits until it is ready. */
  async start(): Promise<void> {
    await this.spawn();
    await eventually("the runtime is ready", async () => (await this.get("/readyz")).status === 200, 30_000);
  }

  async spawn(): Promise<void> {
    const child = spawn(process.execPath, ["src/main.ts"], { env: await this.env(), stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    this.lines.length = 0;
    for (const stream of [child.stdout, child.stderr]) createInterface(stream).on("line", (line) => this.lines.push(parse(line)));
    this.#ended = once(child, "close").then(([code]) => (typeof code === "number" ? code : -1));
  }

  get pid(): number {
    return this.#child?.pid ?? -1;
  }

  /** The exit code; -1 when a signal ended it. */
  get ended(): Promise<number> {
    return this.#ended;
  }

  get port(): number {
    return Number(this.lines.find((l) => l.message === "Listening")?.port ?? 0);
  }

  async get(path: string): Promise<{ status: number; text: string }> {
    if (this.port === 0) return { status: 0, text: "" };
    const reply = await fetch(`http://localhost:${this.port}${path}`, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined);
    return reply === undefined ? { status: 0, text: "" } : { status: reply.status, text: await reply.text() };
  }

  /** SIGTERM, then the exit code of the drain. */
  async stop(): Promise<number> {
    this.#child?.kill("SIGTERM");
    return this.#ended;
  }

  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#ended;
  }

  /** Runs the command line against this runtime's database. */
  async cli(args: readonly string[], input = ""): Promise<{ code: number; stdout: string; stderr: string }> {
    const child = spawn(process.execPath, ["src/main.ts", ...args], { env: await this.env(), stdio: ["pipe", "pipe", "pipe"] });
    const out = { stdout: "", stderr: "" };
    child.stdout.on("data", (chunk: Buffer) => (out.stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (out.stderr += chunk.toString()));
    child.stdin.end(input);
    const [code] = (await once(child, "close")) as [number | null];
    return { code: code ?? -1, ...out };
  }

  /** The bot's status, whatever it is now. */
  async status(bot: string): Promise<Document | null> {
    return this.runtimeCollection("status").findOne({ _id: bot });
  }

  /** Waits until the bot's status says so. */
  async until(bot: string, state: string, limitMs = 20_000): Promise<Document> {
    return eventually(
      `bot "${bot}" is ${state}`,
      async () => {
        const status = await this.status(bot);
        return status?.state === state ? status : undefined;
      },
      limitMs,
      async () => JSON.stringify(await this.status(bot)),
    );
  }

  /** The bot's containers in the engine's own list, in any state. */
  async containers(bot?: string): Promise<Docker.ContainerInfo[]> {
    const label = bot === undefined ? "botrunner.managed=1" : `botrunner.bot=${bot}`;
    return this.docker.listContainers({ all: true, filters: { label: [label] } });
  }

  /** Ends the process and removes everything it made. Fails when a container of a drained runtime is left. */
  async dispose(): Promise<void> {
    if (this.#child?.exitCode === null && this.#child.signalCode === null) await this.stop();
    const left = await this.containers();
    await Promise.all(left.map((c) => this.docker.getContainer(c.Id).remove({ force: true, v: true })));
    await this.client.db(this.dbName).dropDatabase();
    await this.client.close();
    if (this.#stateDir !== "") await rm(this.#stateDir, { recursive: true, force: true });
  }
}

function parse(line: string): LogLine {
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return { level: "text", message: line };
  }
}
