import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

import type Docker from "dockerode";
import { type Collection, MongoClient } from "mongodb";

import type { BotId, Epoch, SegmentId, SessionId, SpecHash } from "../../src/core/ids.ts";
import { createBody } from "../../src/docker/create-body.ts";
import { type Bench, waitFor } from "./bench.ts";
import { BenchRuntime } from "./bench-runtime.ts";
import { BOT_IMAGE } from "./bot-image.ts";
import { connectDocker } from "./find-docker.ts";

const OURS = "botrunner.managed=1";
const RAW = "bench.raw=1";
const command = ["sleep", "3600"];
const memory = 32 * 1024 * 1024;

type BotDocument = { _id: string; [field: string]: unknown };

/** The runtime and the raw Engine API side by side on one engine: both sides ask it for the same containers, and when one
 *  runs is read from the Engine's own events, which cost both sides the same. */
export class BenchBots {
  readonly docker: Docker;
  readonly runtime: BenchRuntime;
  readonly #client: MongoClient;
  readonly #events: Readable;
  #started = new Map<string, number>();
  #waiting: { readonly count: number; readonly done: () => void } | undefined;

  private constructor(docker: Docker, client: MongoClient, runtime: BenchRuntime, events: Readable) {
    this.docker = docker;
    this.runtime = runtime;
    this.#client = client;
    this.#events = events;
    createInterface(events).on("line", (line) => this.#onEvent(JSON.parse(line) as { Actor: { ID: string } }));
  }

  static async open(bench: Bench, dbName: string): Promise<BenchBots> {
    const docker = connectDocker(bench.dockerHost);
    const events = (await docker.getEvents({ filters: { type: ["container"], event: ["start"] } })) as Readable;
    return new BenchBots(docker, new MongoClient(bench.mongoUri), new BenchRuntime(bench, dbName), events);
  }

  get bots(): Collection<BotDocument> {
    return this.#client.db(this.runtime.dbName).collection("bots");
  }

  /** Containers that were started since the last call of `expect`. */
  get started(): number {
    return this.#started.size;
  }

  /** Begins to count; gives a wait for this many started containers. @throws after 5 min */
  expect(count: number): () => Promise<void> {
    this.#started = new Map();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting = { count, done: resolve };
    return async () => {
      const late = setTimeout(
        () => this.#events.destroy(new Error(`${this.#started.size} of ${count} containers started in 5 min`)),
        300_000,
      );
      await promise;
      clearTimeout(late);
    };
  }

  #onEvent({ Actor }: { readonly Actor: { readonly ID: string } }): void {
    this.#started.set(Actor.ID, performance.now());
    if (this.#waiting !== undefined && this.#started.size >= this.#waiting.count) this.#waiting.done();
  }

  /** A user's inserts. */
  async insert(ids: readonly string[]): Promise<void> {
    const document = { image: BOT_IMAGE, command, stopGraceSeconds: 0, resources: { memory } };
    await this.bots.insertMany(ids.map((_id) => ({ _id, ...document })));
  }

  /** Deletes all bots, and waits until the runtime has nothing left of them. */
  async clear(): Promise<void> {
    await this.bots.deleteMany({});
    const placements = this.#client.db(this.runtime.dbName).collection("runtime.placements");
    await waitFor(
      "none is left",
      300_000,
      async () => (await placements.countDocuments()) === 0 && (await this.#list(OURS)).length === 0,
      250,
    );
  }

  /** What the runtime asks the Engine for, asked by hand. */
  async startRaw(id: string): Promise<void> {
    const resources = { memoryBytes: memory, pids: 256 };
    const security = { readOnlyRootFilesystem: false, capabilities: [] };
    const spec = { image: BOT_IMAGE, command, env: {}, resources, restart: "always", stopGraceSeconds: 0, labels: {}, security } as const;
    const owner = { segment: 0 as SegmentId, epoch: 1 as Epoch, sid: "raw" as SessionId, hash: "raw" as SpecHash };
    const body = createBody({ bot: id as BotId, spec, ...owner, why: "new" }, { network: "botrunner" });
    const container = await this.docker.createContainer({ ...body, name: `raw-${id}`, Labels: { "bench.raw": "1" } });
    await container.start();
  }

  async clearRaw(): Promise<void> {
    for (const { Id } of await this.#list(RAW)) await this.docker.getContainer(Id).remove({ force: true, v: true });
  }

  /** Ids of the runtime's containers that run. */
  async running(): Promise<string[]> {
    const ids = (await this.#list(OURS)).flatMap(({ Id, State }) => (State === "running" ? [Id] : []));
    return ids.toSorted();
  }

  #list(label: string): Promise<Docker.ContainerInfo[]> {
    return this.docker.listContainers({ all: true, filters: { label: [label] } });
  }

  async close(): Promise<void> {
    await this.runtime.end("SIGTERM");
    await this.clearRaw();
    this.#events.destroy();
    await this.#client.db(this.runtime.dbName).dropDatabase();
    await this.#client.close();
  }
}

/** Runs `act` for each item, so many at a time. */
export async function inParallel<T>(items: readonly T[], width: number, act: (item: T) => Promise<unknown>): Promise<void> {
  const left = [...items];
  const lane = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await act(item);
  };
  await Promise.all(Array.from({ length: width }, lane));
}
