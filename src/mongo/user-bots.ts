import { isDeepStrictEqual } from "node:util";
import { ObjectId } from "mongodb";
import type { UserBots } from "../cli/ports.ts";
import type { BotId, RawId } from "../core/ids.ts";
import type { PlacementRecord, RunRecord, SegmentRecord, StatusRecord, WorkerRecord } from "../core/records.ts";
import { withKeptFields } from "../document/kept-fields.ts";
import { BotSource, BYTES, type UserCollection } from "./bots.ts";
import { type MongoOptions, openClient } from "./connect.ts";

/** The command line's way to MongoDB, with the user's own rights: the only code of ours that writes the user's collection. */
export async function openUserBots(options: MongoOptions): Promise<UserBots> {
  const { client, guard } = await openClient(options);
  const never = new AbortController().signal;
  const db = client.db(options.dbName);
  const bots: UserCollection = db.collection(options.collectionName);
  const source = new BotSource(bots, guard);
  const statuses = db.collection<StatusRecord>("runtime.status");

  /** The `_id` under which the bot stands; where both twins stand, the ObjectId's. */
  async function keyOf(id: BotId): Promise<{ readonly _id: unknown } | undefined> {
    const found = await source.find([id]);
    const first = found.find((f) => f.raw.kind === "objectId") ?? found[0];
    return first === undefined ? undefined : { _id: storedId(first.raw) };
  }

  async function one<T extends { readonly _id: string | number }>(name: string, id: T["_id"]): Promise<T | undefined> {
    const filter = { _id: id } as object;
    return (await guard.call(`read ${name}`, () => db.collection(`runtime.${name}`).findOne<T>(filter))) ?? undefined;
  }

  return {
    listBots: () => source.all(never),
    getBot: (id) => source.find([id]),
    putBot: ({ raw, document }) =>
      guard.call("write a bot", async () => {
        const _id = storedId(raw);
        const { _id: _ignored, ...written } = document;
        const before = await bots.findOne({ _id } as object, { collation: BYTES });
        const fields = withKeptFields(written, before ?? {});
        if (before !== null) {
          const { _id: _same, ...stored } = before;
          if (isDeepStrictEqual(plain(stored), plain(fields))) return "unchanged";
        }
        await bots.replaceOne({ _id } as object, fields, { upsert: true, collation: BYTES });
        return before === null ? "created" : "configured";
      }),
    setEnabled: (id, enabled) =>
      guard.call("write a bot", async () => {
        const key = await keyOf(id);
        if (key === undefined) return "missing";
        const { matchedCount, modifiedCount } = await bots.updateOne(key as object, { $set: { enabled } }, { collation: BYTES });
        return matchedCount === 0 ? "missing" : modifiedCount === 0 ? "unchanged" : "configured";
      }),
    setRestartedAt: (id, restartedAt) =>
      guard.call("write a bot", async () => {
        const key = await keyOf(id);
        return (
          key !== undefined && (await bots.updateOne(key as object, { $set: { restartedAt } }, { collation: BYTES })).matchedCount === 1
        );
      }),
    deleteBot: (id) =>
      guard.call("delete a bot", async () => {
        const key = await keyOf(id);
        return key !== undefined && (await bots.deleteOne(key as object, { collation: BYTES })).deletedCount === 1;
      }),
    statuses: () => guard.stream("read statuses", statuses.find<StatusRecord>({}), never),
    status: async (id) => (await guard.call("read a status", () => statuses.findOne<StatusRecord>({ _id: id }))) ?? undefined,
    runs: (id, limit) =>
      guard.call("read runs", () =>
        db
          .collection("runtime.runs")
          .find<RunRecord>({ bot: id }, { sort: { ended: -1 }, limit })
          .toArray(),
      ),
    placement: (id) => one<PlacementRecord>("placements", id),
    segment: (id) => one<SegmentRecord>("segments", id),
    worker: (id) => one<WorkerRecord>("workers", id),
    close: () => client.close(),
  };
}

function storedId(raw: RawId): unknown {
  if (raw.kind === "objectId") return new ObjectId(raw.hex);
  if (raw.kind === "string") return raw.value;
  throw new TypeError(`Cannot write a bot under ${raw.text}`);
}

/** As JSON sees it, so that an object without a prototype equals one with. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}
