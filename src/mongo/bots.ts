import { BSON, type Collection, type Document, Long, ObjectId } from "mongodb";
import type { FoundDocument } from "../core/bot.ts";
import type { BotId, RawId } from "../core/ids.ts";
import { guarded, guardedStream } from "./errors.ts";

/** Documents fetched with one reply. Bot documents may be large (config), so few. */
const BATCH = 200;
/** Ids are compared as bytes, whatever collation the user's collection has. */
const BYTES = { locale: "simple" };

export type UserCollection = Collection<Document & { _id: unknown }>;

/** The user's collection, for reading only: nothing in this file writes, not even an index. */
export class BotSource {
  readonly #bots: UserCollection;

  constructor(bots: UserCollection) {
    this.#bots = bots;
  }

  byString(signal: AbortSignal): AsyncGenerator<FoundDocument> {
    return this.#sorted("string", signal);
  }

  byObjectId(signal: AbortSignal): AsyncGenerator<FoundDocument> {
    return this.#sorted("objectId", signal);
  }

  async *byOther(signal: AbortSignal): AsyncGenerator<FoundDocument> {
    const filter = { $nor: [{ _id: { $type: "string" } }, { _id: { $type: "objectId" } }] };
    for await (const document of guardedStream("read bots", this.#bots.find(filter as object, { batchSize: BATCH }), signal))
      yield found(document);
  }

  /** A bot id of 24 hex digits may be an ObjectId's: both are asked for. */
  async find(ids: readonly BotId[]): Promise<FoundDocument[]> {
    const keys = ids.flatMap((id): (string | ObjectId)[] => (/^[0-9a-f]{24}$/.test(id) ? [id, new ObjectId(id)] : [id]));
    return (await guarded("read bots", () => this.#bots.find({ _id: { $in: keys } } as object).toArray())).map(found);
  }

  async *#sorted(type: "string" | "objectId", signal: AbortSignal): AsyncGenerator<FoundDocument> {
    const cursor = this.#bots.find({ _id: { $type: type } } as object, {
      sort: { _id: 1 },
      collation: BYTES,
      batchSize: BATCH,
      allowDiskUse: true,
    });
    for await (const document of guardedStream("read bots", cursor, signal)) yield found(document);
  }
}

function found(document: Document & { _id: unknown }): FoundDocument {
  return { raw: rawIdOf(document._id), document };
}

/** Which bot an `_id` names, freed of the driver's classes. */
export function rawIdOf(id: unknown): RawId {
  if (typeof id === "string") return { kind: "string", value: id };
  if (id instanceof ObjectId) return { kind: "objectId", hex: id.toHexString() };
  return { kind: "other", text: BSON.EJSON.stringify(id instanceof Long ? id : (id as Document), { relaxed: false }).slice(0, 200) };
}
