import type { Db } from "mongodb";
import type { FoundDocument } from "../core/bot.ts";
import type { BotId, SegmentId, SessionId } from "../core/ids.ts";
import type { Collection, Operation, Outcome } from "../core/operations.ts";
import type { FleetRecord, FleetView, PlacementRecord, RunRecord, SegmentRecord, StatusRecord, WorkerRecord } from "../core/records.ts";
import type { LeaderStore } from "../leader/ports.ts";
import type { WorkerStore } from "../worker/ports.ts";
import { BotSource, type UserCollection } from "./bots.ts";
import { areDuplicateKeys, isDuplicateKey } from "./errors.ts";
import type { Guard } from "./guard.ts";
import { filterOf, type Keyed, updateOf } from "./operations.ts";

/** Runs kept of one bot. Source: design.md section 3. */
const MAX_RUNS = 50;
const RUN_TTL_SECONDS = 14 * 24 * 3_600;
const PLACEMENT_BATCH = 500;

/** `runtime.*` and the user's bots in one database, for leader and worker. */
export class MongoStore implements LeaderStore, WorkerStore {
  readonly #db: Db;
  readonly #bots: BotSource;
  readonly #guard: Guard;

  constructor(db: Db, bots: UserCollection, guard: Guard) {
    this.#db = db;
    this.#bots = new BotSource(bots, guard);
    this.#guard = guard;
  }

  /** What our own reads need. Idempotent. @throws {StoreUnreachableError} */
  async ensureIndexes(): Promise<void> {
    await this.#guard.call("make indexes", async () => {
      await this.#of("placements").createIndexes([{ key: { active: 1, segment: 1 } }]);
      await this.#of("segments").createIndexes([{ key: { owner: 1 } }, { key: { target: 1 } }]);
      await this.#of("status").createIndexes([{ key: { state: 1 } }]);
      await this.#of("runs").createIndexes([{ key: { bot: 1, ended: -1 } }, { key: { ended: 1 }, expireAfterSeconds: RUN_TTL_SECONDS }]);
    });
  }

  async apply(operation: Operation): Promise<Outcome> {
    const collection = this.#of(operation.collection);
    const filter = filterOf(operation);
    return this.#guard.call(`apply ${operation.op} to ${operation.collection}`, async () => {
      if (operation.remove === true) return (await collection.deleteOne(filter)).deletedCount === 1 ? "won" : "missed";
      try {
        const { matchedCount, upsertedCount } = await collection.updateOne(filter, updateOf(operation), {
          upsert: operation.upsert === true,
        });
        return matchedCount + upsertedCount === 1 ? "won" : "missed";
      } catch (error) {
        // The document is there and did not pass: the upsert then tries to insert it a second time.
        if (operation.upsert === true && isDuplicateKey(error)) return "missed";
        throw error;
      }
    });
  }

  async renew(operation: Operation): Promise<WorkerRecord | undefined> {
    return this.#guard.call("renew the session", async () => {
      const found = await this.#of(operation.collection).findOneAndUpdate(filterOf(operation), updateOf(operation), {
        returnDocument: "after",
      });
      return (found as WorkerRecord | null) ?? undefined;
    });
  }

  async insert(
    collection: Collection,
    record: { readonly _id: string | number } & Readonly<Record<string, unknown>>,
  ): Promise<"inserted" | "exists"> {
    return this.#guard.call(`insert into ${collection}`, async () => {
      try {
        await this.#of(collection).insertOne({ ...record });
        return "inserted";
      } catch (error) {
        if (isDuplicateKey(error)) return "exists";
        throw error;
      }
    });
  }

  async insertPlacements(records: readonly PlacementRecord[]): Promise<void> {
    await this.#guard.call("insert placements", async () => {
      try {
        await this.#of("placements").insertMany(
          records.map((record) => ({ ...record })),
          { ordered: false },
        );
      } catch (error) {
        if (!areDuplicateKeys(error)) throw error;
      }
    });
  }

  stringBots(signal: AbortSignal): AsyncIterable<FoundDocument> {
    return this.#bots.byString(signal);
  }

  objectIdBots(signal: AbortSignal): AsyncIterable<FoundDocument> {
    return this.#bots.byObjectId(signal);
  }

  otherBots(signal: AbortSignal): AsyncIterable<FoundDocument> {
    return this.#bots.byOther(signal);
  }

  findBots(ids: readonly BotId[]): Promise<readonly FoundDocument[]> {
    return this.#bots.find(ids);
  }

  allPlacements(signal: AbortSignal): AsyncIterable<PlacementRecord> {
    return this.#guard.stream(
      "read placements",
      this.#of<PlacementRecord>("placements").find({}, { sort: { _id: 1 }, batchSize: PLACEMENT_BATCH }),
      signal,
    );
  }

  async *activePlacements(segments: readonly SegmentId[], signal: AbortSignal): AsyncGenerator<readonly PlacementRecord[]> {
    const cursor = this.#of<PlacementRecord>("placements").find(
      { segment: { $in: [...segments] }, active: true },
      { batchSize: PLACEMENT_BATCH, signal },
    );
    let batch: PlacementRecord[] = [];
    for await (const placement of this.#guard.stream("read placements", cursor, signal)) {
      batch.push(placement);
      if (batch.length < PLACEMENT_BATCH) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0) yield batch;
  }

  findPlacements(ids: readonly BotId[]): Promise<readonly PlacementRecord[]> {
    return this.#all<PlacementRecord>("placements", { _id: { $in: [...ids] } });
  }

  findStatuses(ids: readonly BotId[]): Promise<readonly StatusRecord[]> {
    return this.#all<StatusRecord>("status", { _id: { $in: [...ids] } });
  }

  activeSegments(some?: readonly SegmentId[]): Promise<readonly SegmentId[]> {
    const filter = { active: true, ...(some !== undefined && { segment: { $in: [...some] } }) };
    return this.#guard.call("read active segments", () => this.#of("placements").distinct("segment", filter) as Promise<SegmentId[]>);
  }

  segments(some?: readonly SegmentId[]): Promise<readonly SegmentRecord[]> {
    return this.#all<SegmentRecord>("segments", some === undefined ? {} : { _id: { $in: [...some] } });
  }

  ownedSegments(sid: SessionId, held: readonly SegmentId[]): Promise<readonly SegmentRecord[]> {
    const concern = [{ owner: sid }, { target: sid }, ...(held.length === 0 ? [] : [{ _id: { $in: [...held] } }])];
    return this.#all<SegmentRecord>("segments", { $or: concern });
  }

  workers(): Promise<readonly WorkerRecord[]> {
    return this.#all<WorkerRecord>("workers", {});
  }

  async fleet(): Promise<FleetRecord | undefined> {
    return (await this.#all<FleetRecord>("control", { _id: "fleet" }))[0];
  }

  async leaderTerm(): Promise<number | undefined> {
    return (await this.#all<{ term: number }>("control", { _id: "leader" }))[0]?.term;
  }

  countInvalid(): Promise<number> {
    return this.#guard.call("count invalid bots", () => this.#of("status").countDocuments({ state: "invalid" }));
  }

  async publishFleet(view: FleetView): Promise<void> {
    const earlier = { $or: [{ term: { $exists: false } }, { term: { $lte: view.term ?? 0 } }] };
    await this.#guard.call("publish the fleet", () => this.#put("fleet", view, earlier));
  }

  async fleetView(): Promise<FleetView | undefined> {
    return (await this.#all<FleetView>("fleet", {}))[0];
  }

  async recordRun(run: RunRecord): Promise<void> {
    await this.#guard.call("record a run", async () => {
      await this.#put("runs", run);
      const runs = this.#of("runs");
      const old = await runs.find({ bot: run.bot }, { sort: { ended: -1 }, skip: MAX_RUNS, projection: { _id: 1 } }).toArray();
      // By id and not by time: runs that ended at the same moment would all go.
      if (old.length > 0) await runs.deleteMany({ _id: { $in: old.map(({ _id }) => _id) } });
    });
  }

  /** Replaces or inserts. Two writers may meet in an insert, and what is there may be none of those that may be replaced: then
   *  the other's words stand. */
  async #put(name: "runs" | "fleet", { _id, ...rest }: { readonly _id: string }, replaces: object = {}): Promise<void> {
    try {
      await this.#of(name).replaceOne({ _id, ...replaces }, rest, { upsert: true });
    } catch (error) {
      if (!isDuplicateKey(error)) throw error;
    }
  }

  #of<T = Keyed>(name: Collection | "runs" | "fleet") {
    return this.#db.collection<T extends object ? T & Keyed : Keyed>(`runtime.${name}`);
  }

  #all<T extends object>(name: Collection | "fleet", filter: object): Promise<T[]> {
    return this.#guard.call(`read ${name}`, () => this.#db.collection(`runtime.${name}`).find<T>(filter).toArray());
  }
}
