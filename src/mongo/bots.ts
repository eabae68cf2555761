import { BSON, type Collection, type Document, MongoAPIError, ObjectId } from "mongodb";
import type { FoundDocument } from "../core/bot.ts";
import type { BotId, RawId } from "../core/ids.ts";
import { isUnauthorized } from "./errors.ts";
import type { Guard } from "./guard.ts";

/** Documents fetched with one reply. Bot documents may be large (config), so few. */
const BATCH = 200;
/** Ids are compared as bytes, whatever collation the user's collection has. */
export const BYTES = { locale: "simple" };
/** Every BSON type that may stand in `_id` and names no bot. Types, and not "neither string nor ObjectId", because the index serves these. */
const OTHER_TYPES = "number object binData bool date null timestamp minKey maxKey symbol javascript javascriptWithScope dbPointer".split(
  " ",
);
/** What the driver makes of bytes that are not UTF-8. */
const REPLACEMENT = "\ufffd";
const MAX_TEXT = 200;
const MAX_GARBLED = 100;

export type UserCollection = Collection<Document & { _id: unknown }>;

/** The user's collection, for reading only: nothing in this file writes, not even an index. */
export class BotSource {
  readonly #bots: UserCollection;
  readonly #guard: Guard;
  /** Found by the last complete pass over the strings; see `byString`. */
  #garbled: readonly FoundDocument[] = [];

  constructor(bots: UserCollection, guard: Guard) {
    this.#bots = bots;
    this.#guard = guard;
  }

  /** Ids that are not UTF-8 are left out, since what is read of them does not sort as the bytes do; `byOther` has them. */
  async *byString(signal: AbortSignal): AsyncGenerator<FoundDocument> {
    const garbled: FoundDocument[] = [];
    for await (const one of this.#sorted("string", signal)) {
      if (one.raw.kind === "string") yield one;
      else if (garbled.length < MAX_GARBLED) garbled.push({ raw: one.raw, document: {} });
    }
    this.#garbled = garbled;
  }

  byObjectId(signal: AbortSignal): AsyncGenerator<FoundDocument> {
    return this.#sorted("objectId", signal);
  }

  async *byOther(signal: AbortSignal): AsyncGenerator<FoundDocument> {
    const cursor = this.#bots.find({ _id: { $type: OTHER_TYPES } } as object, { batchSize: BATCH, signal });
    for await (const document of this.#guard.stream("read bots", cursor, signal)) yield found(document);
    for (const one of this.#garbled) yield one;
  }

  async *all(signal: AbortSignal): AsyncGenerator<FoundDocument> {
    const cursor = this.#bots.find({}, { batchSize: BATCH, signal });
    for await (const document of this.#guard.stream("read bots", cursor, signal)) yield found(document);
  }

  /** A bot id of 24 hex digits may be an ObjectId's: both are asked for. */
  async find(ids: readonly BotId[]): Promise<FoundDocument[]> {
    const keys = ids.flatMap((id): (string | ObjectId)[] => (/^[0-9a-f]{24}$/.test(id) ? [id, new ObjectId(id)] : [id]));
    const query = { _id: { $in: keys } } as object;
    return (await this.#guard.call("read bots", () => this.#bots.find(query, { collation: BYTES }).toArray())).map(found);
  }

  async *#sorted(type: "string" | "objectId", signal: AbortSignal): AsyncGenerator<FoundDocument> {
    const options = { sort: { _id: 1 }, ...(await this.#order()), batchSize: BATCH, allowDiskUse: true, signal } as const;
    const cursor = this.#bots.find({ _id: { $type: type } } as object, options);
    for await (const document of this.#guard.stream("read bots", cursor, signal)) yield found(document);
  }

  /** A collation only where the collection has one of its own to be overruled: servers that only speak the protocol
   *  sort by letters as soon as they see any. */
  async #order(): Promise<{ readonly collation?: typeof BYTES }> {
    try {
      const { collation } = await this.#guard.call("read the collection's options", () => this.#bots.options());
      return collation === undefined ? {} : { collation: BYTES };
    } catch (error) {
      // A user who may read the collection need not be allowed to list it.
      if (isUnauthorized(error)) return { collation: BYTES };
      // There is no such collection yet.
      if (error instanceof MongoAPIError) return {};
      throw error;
    }
  }
}

function found(document: Document & { _id: unknown }): FoundDocument {
  return { raw: rawIdOf(document._id), document };
}

/** Which bot an `_id` names, freed of the driver's classes. */
export function rawIdOf(id: unknown): RawId {
  if (typeof id === "string" && !id.includes(REPLACEMENT)) return { kind: "string", value: id };
  if (id instanceof ObjectId) return { kind: "objectId", hex: id.toHexString() };
  return { kind: "other", text: BSON.EJSON.stringify(id, { relaxed: false }).slice(0, MAX_TEXT) };
}
