// Stands between a client and a MongoDB and refuses what mongod refuses without the privilege: writes, and the change stream of
// a whole database, for which a role must be allowed to read all of it.
import type { Document } from "mongodb";

import { type MongoRelay, relayMongo } from "./mongo-relay.ts";
import { commandOf, replyTo } from "./mongo-wire.ts";

export interface MongoGuard extends MongoRelay {
  /** "command database.collection" of each write that was refused, oldest first. */
  readonly refused: readonly string[];
  /** The database of each change stream of a whole one that was refused. */
  readonly refusedStreams: readonly string[];
}

const writes = new Set(
  [
    ["insert", "update", "delete", "findAndModify", "findandmodify", "bulkWrite"],
    ["create", "drop", "collMod", "createIndexes", "dropIndexes", "renameCollection", "convertToCapped"],
  ].flat(),
);

/** Lets everything pass to the server on `target` but the writes for which `mayWrite` says no, and streams of databases. */
export async function guardMongo(target: number, mayWrite: (database: string, collection: string) => boolean): Promise<MongoGuard> {
  const [refused, refusedStreams]: [string[], string[]] = [[], []];
  const answer = (request: Buffer): Buffer | undefined => {
    const command = commandOf(request);
    if (command === undefined) return undefined;
    const write = forbiddenWrite(command, mayWrite);
    const stream = write === undefined ? wholeStream(command) : undefined;
    if (write !== undefined) refused.push(write);
    else if (stream !== undefined) refusedStreams.push(stream);
    else return undefined;
    const what = write ?? `aggregate ${stream}.1`;
    return replyTo(request, { ok: 0, errmsg: `not authorized to execute ${what}`, code: 13, codeName: "Unauthorized" });
  };
  return { ...(await relayMongo(target, () => ({ answer }))), refused, refusedStreams };
}

/** The database that a change stream is to be opened on as a whole. */
function wholeStream(command: Document): string | undefined {
  const pipeline: unknown = command["pipeline"];
  const isWhole = command["aggregate"] === 1 && Array.isArray(pipeline) && pipeline.some((stage: object) => "$changeStream" in stage);
  return isWhole ? String(command["$db"]) : undefined;
}

function forbiddenWrite(command: Document, mayWrite: (db: string, name: string) => boolean): string | undefined {
  const [verb = ""] = Object.keys(command);
  const database = String(command["$db"]);
  const into = verb === "aggregate" ? outputOf(command["pipeline"]) : writes.has(verb) ? String(command[verb]) : undefined;
  if (into === undefined || mayWrite(database, into)) return undefined;
  return `${verb} ${database}.${into}`;
}

// $out and $merge make a write of a read; where they write to is not worth the parsing, for we use neither.
const outputOf = (pipeline: unknown): string | undefined =>
  Array.isArray(pipeline) && pipeline.some((stage: object) => "$out" in stage || "$merge" in stage) ? "$out" : undefined;
