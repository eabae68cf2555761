// Stands between a client and a MongoDB and refuses writes as mongod refuses them without the privilege.
import { type MongoRelay, relayMongo } from "./mongo-relay.ts";
import { commandOf, replyTo } from "./mongo-wire.ts";

export interface MongoGuard extends MongoRelay {
  /** "command database.collection" of each write that was refused, oldest first. */
  readonly refused: readonly string[];
}

const writes = new Set(
  [
    ["insert", "update", "delete", "findAndModify", "findandmodify", "bulkWrite"],
    ["create", "drop", "collMod", "createIndexes", "dropIndexes", "renameCollection", "convertToCapped"],
  ].flat(),
);

/** Lets everything pass to the server on `target` but the writes for which `mayWrite` says no. */
export async function guardMongo(target: number, mayWrite: (database: string, collection: string) => boolean): Promise<MongoGuard> {
  const refused: string[] = [];
  const answer = (request: Buffer): Buffer | undefined => {
    const write = forbiddenWrite(request, mayWrite);
    if (write === undefined) return undefined;
    refused.push(write);
    return replyTo(request, { ok: 0, errmsg: `not authorized to execute ${write}`, code: 13, codeName: "Unauthorized" });
  };
  return { ...(await relayMongo(target, () => ({ answer }))), refused };
}

function forbiddenWrite(message: Buffer, mayWrite: (db: string, name: string) => boolean): string | undefined {
  const command = commandOf(message);
  if (command === undefined) return undefined;
  const [verb = ""] = Object.keys(command);
  const database = String(command["$db"]);
  const into = verb === "aggregate" ? outputOf(command["pipeline"]) : writes.has(verb) ? String(command[verb]) : undefined;
  if (into === undefined || mayWrite(database, into)) return undefined;
  return `${verb} ${database}.${into}`;
}

// $out and $merge make a write of a read; where they write to is not worth the parsing, for we use neither.
const outputOf = (pipeline: unknown): string | undefined =>
  Array.isArray(pipeline) && pipeline.some((stage: object) => "$out" in stage || "$merge" in stage) ? "$out" : undefined;
