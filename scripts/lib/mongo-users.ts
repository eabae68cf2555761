import { randomBytes } from "node:crypto";
import { join } from "node:path";

import { type Db, MongoClient } from "mongodb";

import { guardMongo, mayBy, type Privilege } from "./mongo-guard.ts";
import { runMongoScript } from "./mongosh.ts";
import { type PrivateMongo, type PrivateMongoOptions, startPrivateMongo } from "./private-mongo.ts";

/** What operators run to make the runtime's user. */
const roleScript = join(import.meta.dirname, "..", "..", "examples", "mongodb-role.js");

export interface GuardedMongo extends PrivateMongo {
  /** The user that examples/mongodb-role.js makes: all that the runtime is promised to need. */
  readonly runtimeUri: string;
  /** The same user, held back by nothing but what this server looks at: a role's databases. */
  readonly unguardedUri: string;
  /** May do everything: the operator, who writes bots. */
  readonly rootUri: string;
  /** Each command that was refused to `runtimeUri`, as "command database.collection". */
  readonly refused: readonly string[];
  /** The database of each change stream of a whole one that was refused to it. */
  readonly refusedStreams: readonly string[];
}

export interface GuardedMongoOptions extends PrivateMongoOptions {
  readonly dbName: string;
  /** The user's collection. */
  readonly collection: string;
  /** More variables for the script. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A server with --auth, the script run on it, and a guard that holds the runtime to the role that came of it. */
export async function startGuardedMongo(options: GuardedMongoOptions): Promise<GuardedMongo> {
  const { dbName, collection, env } = options;
  const password = randomBytes(12).toString("hex");
  const server = await startMongoWithRoot(options, password);
  const rootUri = uriOf("root", password, server.port, "admin");
  try {
    runMongoScript(rootUri, roleScript, { DB_NAME: dbName, COLLECTION_NAME: collection, RUNTIME_PASSWORD: password, ...env });
    const guard = await guardMongo(server.port, mayBy(await privilegesOf(rootUri, dbName)));
    return {
      ...server,
      runtimeUri: uriOf("runtime", password, guard.port, dbName),
      unguardedUri: uriOf("runtime", password, server.port, dbName),
      rootUri,
      refused: guard.refused,
      refusedStreams: guard.refusedStreams,
      stop: async () => {
        await guard.stop();
        await server.stop();
      },
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** A server with --auth and one user, `root`. A first server without it makes that user, for nobody else may make the first. */
async function startMongoWithRoot(options: PrivateMongoOptions, pwd: string): Promise<PrivateMongo> {
  const storagePath = join(options.runDir, `mongo-guarded-${randomBytes(4).toString("hex")}`);
  const open = await startPrivateMongo({ ...options, storagePath, flags: [] });
  try {
    await asAdmin(open.uri, (admin) => admin.command({ createUser: "root", pwd, roles: [{ role: "root", db: "admin" }] }));
  } finally {
    await open.stop();
  }
  return startPrivateMongo({ ...options, storagePath, port: open.port, flags: ["--auth", ...(options.flags ?? [])] });
}

/** What the server has kept of the role, which is what counts. */
async function privilegesOf(rootUri: string, dbName: string): Promise<readonly Privilege[]> {
  const rolesInfo = { role: "botRunner", db: dbName };
  const { roles } = (await asAdmin(rootUri, (admin) => admin.command({ rolesInfo, showPrivileges: true }))) as {
    readonly roles: readonly { readonly privileges: readonly Privilege[] }[];
  };
  return roles.flatMap(({ privileges }) => privileges);
}

async function asAdmin<T>(uri: string, use: (admin: Db) => Promise<T>): Promise<T> {
  const client = new MongoClient(uri);
  try {
    return await use(client.db("admin"));
  } finally {
    await client.close();
  }
}

/** The database of a URI is also the one that its user belongs to. */
const uriOf = (user: string, password: string, port: number, dbName: string): string =>
  `mongodb://${user}:${password}@127.0.0.1:${port}/${dbName}?directConnection=true`;
