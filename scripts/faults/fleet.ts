// The fleet that faults happen to: one MongoDB server, the network of the beacons, and so many workers.
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { type Db, MongoClient } from "mongodb";

import type { SegmentRecord, StatusRecord, WorkerRecord } from "../../src/core/records.ts";
import type { Place } from "../lib/cache.ts";
import { until } from "../lib/command.ts";
import { connectDocker } from "../lib/find-docker.ts";
import { type PrivateMongo, startPrivateMongo } from "../lib/private-mongo.ts";
import { type Beacon, ensureBeacon, ensureBeaconImage } from "./beacon-image.ts";
import { type Bounds, boundsOf, type Profile } from "./bounds.ts";
import { type Companion, startCompanion } from "./companion.ts";
import { type Hub, startHub } from "./hub.ts";
import type { Lag, LagAnswers } from "./lag-meter.ts";
import type { Run } from "./runs.ts";
import { Seat } from "./seat.ts";
import { type Books, bootTimeMs, botsByPod, type Placement, type Stage } from "./stage.ts";
import { findUnsettled } from "./unsettled.ts";

export type FleetOptions = Place & {
  readonly workers: number;
  readonly bots: number;
  readonly everyMs: number;
  readonly maxSegment: number;
  readonly profile: Profile;
  readonly fence: "on" | "off";
  readonly random: () => number;
};

const BOT_GRACE_SECONDS = 1;

export class FaultFleet implements Stage<Seat> {
  readonly options: FleetOptions;
  readonly bounds: Bounds;
  readonly mongo: PrivateMongo;
  readonly hub: Hub;
  readonly lag: Companion<LagAnswers>;
  readonly seats: readonly Seat[];
  readonly bots: readonly string[];
  /** Bots whose document is disabled: nothing of them may run. */
  readonly disabled = new Set<string>();
  /** Bots that were disabled at some time: they may have stood still. */
  readonly everDisabled = new Set<string>();
  readonly #client: MongoClient;
  readonly #beacon: Beacon;

  private constructor(parts: {
    options: FleetOptions;
    mongo: PrivateMongo;
    hub: Hub;
    lag: Companion<LagAnswers>;
    seats: readonly Seat[];
    client: MongoClient;
    beacon: Beacon;
  }) {
    this.options = parts.options;
    this.bounds = boundsOf(parts.options.profile);
    this.mongo = parts.mongo;
    this.hub = parts.hub;
    this.lag = parts.lag;
    this.seats = parts.seats;
    this.bots = [...Array(parts.options.bots).keys()].map((n) => `bot-${n}`);
    this.#client = parts.client;
    this.#beacon = parts.beacon;
  }

  static async open(options: FleetOptions): Promise<FaultFleet> {
    const { runDir, say } = options;
    const undo: (() => Promise<void>)[] = [];
    try {
      const beacon = await ensureBeacon(options);
      const mongo = await startPrivateMongo({
        ...options,
        storagePath: join(runDir, "db"),
        flags: ["--sync-on-commit", "--enable-test-commands"],
      });
      undo.push(mongo.stop);
      const hub = await startHub(runDir, say);
      undo.push(hub.sink.stop);
      const lag = await startCompanion<LagAnswers>(runDir, "lag-meter.ts");
      undo.push(lag.stop);
      const client = new MongoClient(mongo.uri, { serverSelectionTimeoutMS: 10_000 });
      undo.push(() => client.close());
      const seats: Seat[] = [];
      for (let index = 0; index < options.workers; index++) {
        const env = { MAX_SEGMENT: String(options.maxSegment), BACKLOG_PATIENCE_SECONDS: "2" };
        const seat = await Seat.open({ ...options, index, hub, mongoPort: mongo.port, dbName: DB_NAME, env });
        undo.push(() => seat.stop());
        seats.push(seat);
      }
      return new FaultFleet({ options, mongo, hub, lag, seats, client, beacon });
    } catch (error) {
      for (const release of undo.toReversed()) await release().catch(() => undefined);
      throw error;
    }
  }

  get db(): Db {
    return this.#client.db(DB_NAME);
  }

  /** Starts every worker, gives each engine the bots' image, and waits until every bot runs. */
  async start(): Promise<void> {
    const { say, everyMs } = this.options;
    say(`starting ${this.seats.length} workers`);
    await Promise.all(this.seats.map((seat) => seat.start()));
    await Promise.all(this.seats.map((seat) => this.giveImage(seat)));
    say(`starting ${this.bots.length} bots, a datagram each ${everyMs} ms`);
    await this.db.collection<{ _id: string }>("bots").insertMany(this.bots.map((bot) => this.document(bot)));
    await this.waitSettled(90_000);
  }

  document(bot: string): { _id: string; [field: string]: unknown } {
    return {
      _id: bot,
      enabled: true,
      image: this.#beacon.image,
      env: { SINK: this.hub.address, EVERY_MS: String(this.options.everyMs) },
      stopGraceSeconds: BOT_GRACE_SECONDS,
      resources: { memory: "16Mi" },
    };
  }

  /** Waits for the worker's engine, and makes the bots' image in it. */
  async giveImage(seat: Seat): Promise<void> {
    await until(`the engine of ${seat.name}`, 60_000, () =>
      ensureBeaconImage(seat.engine.dockerHost, this.#beacon).then(
        () => true,
        () => undefined,
      ),
    );
  }

  async books(): Promise<Books> {
    const [workers, segments, statuses, election] = await Promise.all([
      this.db.collection<WorkerRecord & { _id: string }>("runtime.workers").find().toArray(),
      this.db.collection<SegmentRecord & { _id: number }>("runtime.segments").find().toArray(),
      this.db.collection<StatusRecord & { _id: string }>("runtime.status").find().toArray(),
      this.db.collection<{ _id: string; holder: string | null }>("runtime.control").findOne({ _id: "election" }),
    ]);
    return { workers, segments, statuses, leader: election?.holder ?? null };
  }

  placements(): Promise<Placement[]> {
    return this.db.collection<Placement>("runtime.placements").find().toArray();
  }

  /** The seat whose living session leads. */
  async leader(): Promise<Seat | undefined> {
    const { workers, leader } = await this.books();
    const record = workers.find(({ _id, state }) => _id === leader && state !== "dead" && state !== "gone");
    return this.seats.find(({ name }) => name === record?.pod);
  }

  /** The bots whose segment a seat's living session owns, by the name of the seat. */
  async botsBySeat(): Promise<ReadonlyMap<string, readonly string[]>> {
    const [books, placements] = await Promise.all([this.books(), this.placements()]);
    return botsByPod(
      books,
      placements,
      this.seats.map(({ name }) => name),
    );
  }

  /** Now, as the beacons' clock tells it, in ms. */
  now(): number {
    return bootTimeMs();
  }

  async runs(): Promise<Run[]> {
    return this.hub.sink.ask("runs");
  }

  async measureLag(): Promise<Lag> {
    return this.lag.ask("lag");
  }

  forget(): Promise<unknown> {
    return this.hub.sink.ask("forget");
  }

  get everyMs(): number {
    return this.options.everyMs;
  }

  async workers(): Promise<readonly Seat[]> {
    return this.seats;
  }

  revive(seat: Seat): Promise<void> {
    return seat.start();
  }

  /** What keeps the fleet from being settled; empty when every worker is up, every bot runs once, and nothing is to be moved.
   *  `but`: moves, by which the load becomes more even, may go on. */
  async unsettled(but?: "moves"): Promise<string[]> {
    const books = await this.books();
    const runs = await this.runs();
    const down = this.seats.filter(({ runtime }) => !runtime.isUp).map(({ name }) => `${name}: its runtime is down`);
    const { bots, disabled, everyMs } = this;
    const names = this.seats.map(({ name }) => name);
    return [...down, ...findUnsettled(books, runs, this.now(), { names, bots, disabled, everyMs, mayMove: but === "moves" })];
  }

  /** Waits until nothing is left to do, twice in a row. @throws {Error} with what is left to do. */
  async waitSettled(limitMs: number, but?: "moves"): Promise<void> {
    const end = performance.now() + limitMs;
    for (let calm = 0; calm < 2;) {
      const faults = await this.unsettled(but).catch((error: unknown) => [String(error)]);
      calm = faults.length === 0 ? calm + 1 : 0;
      if (faults.length > 0 && performance.now() > end)
        throw new Error(`Cannot settle the fleet within ${limitMs / 1_000} s:\n${faults.join("\n")}`);
      await sleep(300);
    }
  }

  /** Our containers in every engine that answers. */
  async containers(): Promise<{ seat: string; bot: string; state: string }[]> {
    const all = await Promise.all(
      this.seats.map(async ({ name, engine }) => {
        const found = await connectDocker(engine.dockerHost)
          .listContainers({ all: true, filters: { label: ["botrunner.managed=1"] } })
          .catch(() => []);
        return found.map(({ Labels, State }) => ({ seat: name, bot: Labels["botrunner.bot"] ?? "", state: State }));
      }),
    );
    return all.flat();
  }

  async stop(): Promise<void> {
    await Promise.all(this.seats.map((seat) => seat.stop()));
    await this.#client.close();
    await this.lag.stop();
    await this.hub.sink.stop();
    await this.mongo.stop();
  }
}

const DB_NAME = "faults";
