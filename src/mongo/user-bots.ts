import { isDeepStrictEqual } from "node:util";
import { ObjectId } from "mongodb";
import type { UserBots } from "../cli/ports.ts";
import type { FoundDocument } from "../core/bot.ts";
import type { BotId, RawId } from "../core/ids.ts";
import type { RunRecord, StatusRecord } from "../core/records.ts";
import { BotSource, rawIdOf, type UserCollection } from "./bots.ts";
import { createClient, type MongoOptions } from "./connect.ts";
import { guarded, guardedStream } from "./errors.ts";

/** The command line's way to MongoDB, with the user's own rights: the only code of ours that writes the user's collection. */
export async function openUserBots(options: MongoOptions): Promise<UserBots> {
  const client = createClient(options);
  const never = new AbortController().signal;
  try {
    await guarded("connect", () => client.connect());
  } catch (error) {
    await client.close();
    throw error;
  }
  const db = client.db(options.dbName);
  const bots: UserCollection = db.collection(options.collectionName);
  const source = new BotSource(bots);
  const statuses = db.collection<StatusRecord>("runtime.status");

  /** The `_id` under which the bot stands; where both twins stand, the ObjectId's. */
  async function keyOf(id: BotId): Promise<{ readonly _id: unknown } | undefined> {
    const found = await source.find([id]);
    const first = found.find((f) => f.raw.kind === "objectId") ?? found[0];
    return first === undefined ? undefined : { _id: storedId(first.raw) };
  }

  return {
    async *listBots(): AsyncGenerator<FoundDocument> {
      for await (const document of guardedStream("read bots", bots.find({}), never)) yield { raw: rawIdOf(document._id), document };
    },
    getBot: (id) => source.find([id]),
    putBot: ({ raw, document }) =>
      guarded("write a bot", async () => {
        const _id = storedId(raw);
        const { _id: _ignored, ...fields } = document;
        const before = await bots.findOne({ _id } as object);
        if (before !== null) {
          const { _id: _same, ...stored } = before;
          if (isDeepStrictEqual(plain(stored), plain(fields))) return "unchanged";
        }
        await bots.replaceOne({ _id } as object, fields, { upsert: true });
        return before === null ? "created" : "configured";
      }),
    setEnabled: (id, enabled) =>
      guarded("write a bot", async () => {
        const key = await keyOf(id);
        if (key === undefined) return "missing";
        const { matchedCount, modifiedCount } = await bots.updateOne(key as object, { $set: { enabled } });
        return matchedCount === 0 ? "missing" : modifiedCount === 0 ? "unchanged" : "configured";
      }),
    deleteBot: (id) =>
      guarded("delete a bot", async () => {
        const key = await keyOf(id);
        return key !== undefined && (await bots.deleteOne(key as object)).deletedCount === 1;
      }),
    statuses: () => guardedStream("read statuses", statuses.find<StatusRecord>({}), never),
    status: async (id) => (await guarded("read a status", () => statuses.findOne<StatusRecord>({ _id: id }))) ?? undefined,
    runs: (id, limit) =>
      guarded("read runs", () =>
        db
          .collection("runtime.runs")
          .find<RunRecord>({ bot: id }, { sort: { ended: -1 }, limit })
          .toArray(),
      ),
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
