// Stands between a client and a MongoDB and refuses what mongod refuses without the privilege. The wire server of the tests holds
// a role's privileges to the database only, where mongod also looks at the collection.
import type { Document } from "mongodb";

import { type MongoRelay, relayMongo } from "./mongo-relay.ts";
import { commandOf, replyTo } from "./mongo-wire.ts";

export interface MongoGuard extends MongoRelay {
  /** "command database.collection" of each command that was refused, streams of whole databases aside, oldest first. */
  readonly refused: readonly string[];
  /** The database of each change stream of a whole one that was refused. */
  readonly refusedStreams: readonly string[];
}

/** Whether somebody may do this to a collection; the collection "" is all of the database. */
export type May = (action: string, database: string, collection: string) => boolean;

/** What a role is allowed, as `rolesInfo` tells it. */
export interface Privilege {
  readonly resource: { readonly db: string; readonly collection: string };
  readonly actions: readonly string[];
}

/** MongoDB's own rule: a privilege on the collection "" is one on all of the database, and on it as a whole. */
export const mayBy =
  (privileges: readonly Privilege[]): May =>
  (action, database, collection) =>
    privileges.some(
      ({ resource, actions }) =>
        actions.includes(action) && resource.db === database && (resource.collection === "" || resource.collection === collection),
    );

/** The action that each command on a collection needs; a command that is not here needs none on a collection. */
const needs = new Map<string, readonly string[]>([
  ...["find", "count", "distinct", "aggregate"].map((verb) => [verb, ["find"]] as const),
  ...["findAndModify", "findandmodify"].map((verb) => [verb, ["find", "update"]] as const),
  ["insert", ["insert"]],
  ["update", ["update"]],
  ["delete", ["remove"]],
  ["create", ["createCollection"]],
  ["createIndexes", ["createIndex"]],
  ["dropIndexes", ["dropIndex"]],
  ["drop", ["dropCollection"]],
  ["listIndexes", ["listIndexes"]],
  // Named by themselves: no role of ours has any of these.
  ...["bulkWrite", "collMod", "collStats", "renameCollection", "convertToCapped", "listCollections"].map((verb) => [verb, [verb]] as const),
]);

/** Lets everything pass to the server on `target` but what `may` forbids. */
export async function guardMongo(target: number, may: May): Promise<MongoGuard> {
  const [refused, refusedStreams]: [string[], string[]] = [[], []];
  const answer = (request: Buffer): Buffer | undefined => {
    const command = commandOf(request);
    const [verb = ""] = Object.keys(command ?? {});
    const basic = needs.get(verb);
    if (command === undefined || basic === undefined) return undefined;
    const database = String(command["$db"]);
    const collection = typeof command[verb] === "string" ? command[verb] : "";
    const actions = [...basic, ...more(command)];
    if (actions.every((action) => may(action, database, collection))) return undefined;
    if (collection === "" && actions.includes("changeStream")) refusedStreams.push(database);
    else refused.push(`${verb} ${database}.${collection}`);
    const errmsg = `not authorized on ${database} to execute command ${verb} ${collection}`;
    return replyTo(request, { ok: 0, errmsg, code: 13, codeName: "Unauthorized" });
  };
  return { ...(await relayMongo(target, () => ({ answer }))), refused, refusedStreams };
}

/** What a command needs beyond what others of its name do. */
function more({ pipeline, updates, upsert, remove }: Document): string[] {
  const has = (list: unknown, ...fields: string[]): boolean =>
    Array.isArray(list) && list.some((one: Document) => fields.some((field) => one[field] !== undefined && one[field] !== false));
  return [
    ...(has(pipeline, "$changeStream") ? ["changeStream"] : []),
    // Where they write to is not worth the parsing, for we use neither.
    ...(has(pipeline, "$out", "$merge") ? ["writes by a pipeline"] : []),
    ...(upsert === true || has(updates, "upsert") ? ["insert"] : []),
    ...(remove === true ? ["remove"] : []),
  ];
}
