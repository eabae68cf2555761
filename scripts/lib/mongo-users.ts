import { randomBytes } from "node:crypto";
import { join } from "node:path";

import { MongoClient } from "mongodb";

import { guardMongo } from "./mongo-guard.ts";
import { type PrivateMongo, type PrivateMongoOptions, startPrivateMongo } from "./private-mongo.ts";

export interface GuardedMongo extends PrivateMongo {
  /** May read the bots and write `runtime.*`, nothing else: all that the runtime is promised to need. */
  readonly runtimeUri: string;
  /** May do everything: the operator, who writes bots. */
  readonly rootUri: string;
  /** Each write that came by `runtimeUri` for anything but `runtime.*`, as "command database.collection". */
  readonly refused: readonly string[];
  /** The database of each change stream of a whole one that was asked for by `runtimeUri`: its role has no right to any. */
  readonly refusedStreams: readonly string[];
}

export interface GuardedMongoOptions extends PrivateMongoOptions {
  readonly dbName: string;
  /** The user's collection. */
  readonly collection: string;
}

const owned = ["control", "placements", "segments", "workers", "fleet", "status", "runs"];
const reads = ["find", "listIndexes", "collStats", "changeStream", "killCursors"];
const writes = ["insert", "update", "remove", "createCollection", "createIndex", "dropIndex", "collMod"];

/** A server with --auth. Users are made by a first server without it, for nobody may make the first user otherwise. */
export async function startGuardedMongo(options: GuardedMongoOptions): Promise<GuardedMongo> {
  const password = randomBytes(12).toString("hex");
  const storagePath = join(options.runDir, `mongo-guarded-${randomBytes(4).toString("hex")}`);
  const open = await startPrivateMongo({ ...options, storagePath, flags: [] });
  try {
    await createUsers(open.uri, options, password);
  } finally {
    await open.stop();
  }
  const flags = ["--auth", ...(options.flags ?? [])];
  const guarded = await startPrivateMongo({ ...options, storagePath, port: open.port, flags });
  // This server holds a role's privileges to the database only, where mongod also looks at the collection.
  const guard = await guardMongo(guarded.port, (db, name) => db === options.dbName && name.startsWith("runtime."));
  const as = (user: string, port: number) => `mongodb://${user}:${password}@127.0.0.1:${port}/?directConnection=true&authSource=admin`;
  return {
    ...guarded,
    runtimeUri: as("runtime", guard.port),
    rootUri: as("root", guarded.port),
    refused: guard.refused,
    refusedStreams: guard.refusedStreams,
    stop: async () => {
      await guard.stop();
      await guarded.stop();
    },
  };
}

/** Makes the users `root` and `runtime` in the database `admin`. */
async function createUsers(uri: string, { dbName: db, collection }: GuardedMongoOptions, pwd: string): Promise<void> {
  const client = new MongoClient(uri);
  try {
    const admin = client.db("admin");
    const privileges = [
      { resource: { db, collection: "" }, actions: ["listCollections"] },
      { resource: { db, collection }, actions: reads },
      ...owned.map((name) => ({ resource: { db, collection: `runtime.${name}` }, actions: [...reads, ...writes] })),
    ];
    await admin.command({ createRole: "botRunner", privileges, roles: [] });
    await admin.command({ createUser: "runtime", pwd, roles: [{ role: "botRunner", db: "admin" }] });
    await admin.command({ createUser: "root", pwd, roles: [{ role: "root", db: "admin" }] });
  } finally {
    await client.close();
  }
}
