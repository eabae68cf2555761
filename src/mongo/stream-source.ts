import type { ChangeStream, ChangeStreamDocument, ChangeStreamOptions, Db } from "mongodb";
import type { Watched } from "../core/ledger.ts";

/** What each kind is called in the database; the user names the bots. */
export type CollectionNames = Readonly<Record<Watched, string>>;

/** Something that has a change stream, and how its changes are to be read. */
export type StreamSource = {
  /** Whose changes it brings. */
  readonly kinds: readonly Watched[];
  open(options: ChangeStreamOptions): ChangeStream;
  /** Which kinds a change is one of; all of them when the whole database is gone. */
  concerns(change: ChangeStreamDocument): readonly Watched[];
  /** After these the stream gives nothing more. */
  readonly last: ReadonlySet<string>;
};

/** Only what names the document: the document itself would come late and for nothing. */
const ONLY_NAMES = { $project: { _id: 1, operationType: 1, documentKey: 1, ns: 1, to: 1 } };
/** A bot placed as inactive changes nothing for anybody: it gets neither an owner nor a container. The first admission of
 *  a large collection would otherwise be told to the process that does it, bot by bot. */
const PLACED_INACTIVE = { operationType: "insert", "fullDocument.active": false };

/** One collection: all that a role needs is to read that one. */
export function collectionSource(db: Db, what: Watched, names: CollectionNames): StreamSource {
  const pipeline = [...(what === "placements" ? [{ $match: { $nor: [PLACED_INACTIVE] } }] : []), ONLY_NAMES];
  return {
    kinds: [what],
    open: (options) => db.collection(names[what]).watch(pipeline, options),
    concerns: () => [what],
    last: new Set(["drop", "rename", "dropDatabase", "invalidate"]),
  };
}

/** All collections of ours by one stream of their database. The role must be allowed to watch the whole database, of which
 *  the server sends no more than what is ours. */
export function databaseSource(db: Db, names: CollectionNames): StreamSource {
  const kinds = Object.keys(names) as Watched[];
  const $in = Object.values(names);
  const ours = {
    // A rename is told under the old name only; under the new one there is now another collection.
    $or: [{ "ns.coll": { $in } }, { "to.coll": { $in } }, { operationType: "dropDatabase" }],
    $nor: [{ "ns.coll": names.placements, ...PLACED_INACTIVE }],
  };
  return {
    kinds,
    open: (options) => db.watch([{ $match: ours }, ONLY_NAMES], options),
    concerns(change) {
      const named = [nameIn(change, "ns"), nameIn(change, "to")];
      // A dropped collection comes again under its name, and this stream goes on: only the end of the database ends it.
      return named.every((name) => name === undefined) ? kinds : kinds.filter((kind) => named.includes(names[kind]));
    },
    last: new Set(["dropDatabase", "invalidate"]),
  };
}

function nameIn(change: ChangeStreamDocument, field: "ns" | "to"): string | undefined {
  return (change as { readonly ns?: { readonly coll?: string }; readonly to?: { readonly coll?: string } })[field]?.coll;
}
