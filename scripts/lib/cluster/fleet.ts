// The fleet that the cluster's tests are about: a cluster, a MongoDB on its bridge, and beacons as bots.
import { readFile } from "node:fs/promises";

import { openCache, type Say } from "../cache.ts";
import { type Cluster, findCluster } from "./cluster.ts";
import { type BotDocument, Release, type ReleaseOptions } from "./product.ts";
import { run, until } from "../command.ts";
import { type PrivateMongo, startPrivateMongo } from "../private-mongo.ts";
import { openRun } from "../run-dir.ts";
import { findDuplicates } from "../../faults/analysis.ts";
import { ensureBeacon } from "../../faults/beacon-image.ts";
import { type Companion, startCompanion } from "../../faults/companion.ts";
import type { Run } from "../../faults/runs.ts";
import type { SinkAnswers } from "../../faults/sink.ts";

const command = new URL("../../cluster", import.meta.url).pathname;
/** Between two datagrams of a beacon, in ms. */
const EVERY_MS = 50;

export type ClusterFleetOptions = {
  /** Is told of what takes long. */
  readonly say?: Say;
  /** @default 2 */
  readonly nodes?: number;
  /** Between two datagrams of a beacon, in ms. @default 50 */
  readonly everyMs?: number;
  /** MongoDB syncs what it acknowledges. @default false */
  readonly isDurable?: boolean;
};

/** A cluster of our own with all that a release needs, for one file of tests. */
export class ClusterFleet {
  readonly cluster: Cluster;
  readonly mongo: PrivateMongo;
  readonly sink: Companion<SinkAnswers>;
  readonly everyMs: number;
  readonly #sinkAddress: string;
  readonly #beacon: string;
  readonly #undo: readonly (() => Promise<unknown>)[];

  private constructor(parts: {
    cluster: Cluster;
    mongo: PrivateMongo;
    sink: Companion<SinkAnswers>;
    at: string;
    everyMs: number;
    beacon: string;
    undo: readonly (() => Promise<unknown>)[];
  }) {
    this.cluster = parts.cluster;
    this.mongo = parts.mongo;
    this.sink = parts.sink;
    this.everyMs = parts.everyMs;
    this.#sinkAddress = parts.at;
    this.#beacon = parts.beacon;
    this.#undo = parts.undo;
  }

  static async up(options: ClusterFleetOptions = {}): Promise<ClusterFleet> {
    const { say = () => undefined, nodes = 2, everyMs = EVERY_MS, isDurable = false } = options;
    const runDir = await openRun();
    const undo: (() => Promise<unknown>)[] = [() => run(command, ["down", "--run-dir", runDir.dir])];
    try {
      await run(command, ["up", "--nodes", String(nodes), "--run-dir", runDir.dir], {
        env: { ...process.env, DOCKER_HOST: "", DOCKER_IS_PRIVATE: "" },
      });
      const place = { runDir: runDir.dir, cacheDir: await openCache(process.env), say };
      const cluster = await findCluster(runDir.dir);
      const mongo = await startPrivateMongo({ ...place, host: cluster.network.machine, flags: isDurable ? ["--sync-on-commit"] : [] });
      undo.push(() => mongo.stop());
      // In the hub: what cuts a node off from a store must not keep its bots from being heard.
      const address = await cluster.hubAddress();
      const inHub = ["nsenter", "--target", String(cluster.hubPid), "--net", "--"];
      const sink = await startCompanion<SinkAnswers>(runDir.dir, "sink.ts", [address], inHub);
      undo.push(() => sink.stop());
      const beacon = await ensureBeacon(place);
      const files = [
        { path: "beacon", mode: 0o755, data: await readFile(beacon.path) },
        { path: "tmp/", mode: 0o1777 },
      ];
      await cluster.publish({ image: beacon.image, files, config: { Cmd: ["/beacon"] } });
      const at = `${address}:${await sink.ask("port")}`;
      return new ClusterFleet({ cluster, mongo, sink, at, everyMs, beacon: beacon.image, undo });
    } catch (error) {
      await undoAll(undo);
      throw error;
    }
  }

  /** `mongoUri`: another way to the MongoDB. @default straight to it */
  release(options: Omit<ReleaseOptions, "cluster" | "mongoUri"> & Partial<Pick<ReleaseOptions, "mongoUri">>): Release {
    return new Release({ mongoUri: this.mongo.uri, ...options, cluster: this.cluster });
  }

  /** A bot that says that it runs. */
  document(_id: string, more: object = {}): BotDocument {
    return { _id, image: this.#beacon, env: { SINK: this.#sinkAddress, EVERY_MS: String(this.everyMs) }, stopGraceSeconds: 1, ...more };
  }

  /** The lives of these bots so far. */
  async lives(ids: readonly string[]): Promise<Run[]> {
    return (await this.sink.ask("runs")).filter(({ bot }) => ids.includes(bot));
  }

  /** The life of each of these bots that began last. */
  async newest(ids: readonly string[]): Promise<Map<string, Run>> {
    const lives = (await this.lives(ids)).toSorted((a, b) => a.first - b.first);
    return new Map(lives.map((life) => [life.bot, life]));
  }

  /** Waits until each of these bots has been heard of. */
  heard(ids: readonly string[]): Promise<true> {
    return until("a datagram of each bot", 60_000, async () => {
      const bots = new Set((await this.lives(ids)).map(({ bot }) => bot));
      return bots.size === ids.length || undefined;
    });
  }

  /** Instants at which a bot ran twice, in words; none is what is promised. */
  async duplicates(): Promise<string[]> {
    return findDuplicates(await this.sink.ask("runs")).map(({ bot, from, to }) => `${bot} ran twice for ${(to - from).toFixed(1)} ms`);
  }

  async down(): Promise<void> {
    await undoAll(this.#undo);
  }
}

async function undoAll(steps: readonly (() => Promise<unknown>)[]): Promise<void> {
  for (const step of steps.toReversed()) await step();
}
