import type { Db, Document } from "mongodb";
import type { Clock } from "../core/clock.ts";
import type { Privilege, StoreProbe } from "../doctor/ports.ts";
import { type MongoOptions, openClient, type OpenClient } from "./connect.ts";
import { isUnauthorized, refusesChangeStreams } from "./errors.ts";

/** No document is so: what finds none changes none. */
const NOBODY = { _id: "botrunner-doctor: no document has this name", nothing: { $in: [] } } as object;
/** How long the server may wait for a change before it says that there was none, in ms. */
const AWAIT_MS = 50;

/** MongoDB as `runtime doctor` looks at it: by questions that change no document. Connects with the first of them. */
export function openStoreProbe(options: MongoOptions, clock: Clock): StoreProbe & { close(): Promise<void> } {
  let opening: Promise<OpenClient> | undefined;
  const open = (): Promise<OpenClient> => (opening ??= openClient(options));

  async function ask<T>(what: string, act: (db: Db) => Promise<T>): Promise<T> {
    const { client, guard } = await open();
    return guard.call(what, () => act(client.db(options.dbName)));
  }

  /** Whether a stream opens and answers; the server's refusal, if it gives none. */
  async function streams(of: (db: Db) => Db | ReturnType<Db["collection"]>): Promise<Error | undefined> {
    return ask("open a change stream", async (db) => {
      const stream = of(db).watch([], { maxAwaitTimeMS: AWAIT_MS });
      try {
        await stream.tryNext();
        return undefined;
      } catch (error) {
        if (error instanceof Error && refusesChangeStreams(error)) return error;
        throw error;
      } finally {
        await stream.close();
      }
    });
  }

  return {
    async server() {
      const hello = await ask("ask who answers", (db) => db.admin().command({ hello: 1 }));
      const build = await ask("ask for its version", (db) => db.admin().command({ buildInfo: 1 }));
      return { version: String(build["version"]), replicaSet: textOf(hello, "setName"), isRouter: hello["msg"] === "isdbgrid" };
    },

    async collections() {
      const list = (db: Db) => db.listCollections({}, { nameOnly: true, authorizedCollections: true }).toArray();
      return (await ask("list collections", list)).map(({ name }) => name);
    },

    async may(collection, act) {
      try {
        await ask(`try ${act} in ${collection}`, async (db) => {
          const of = db.collection(collection);
          if (act === "find") await of.findOne(NOBODY);
          else if (act === "update") await of.updateOne(NOBODY, { $set: { nothing: 1 } });
          else await of.deleteOne(NOBODY);
        });
        return true;
      } catch (error) {
        if (isUnauthorized(error)) return false;
        throw error;
      }
    },

    async grants() {
      const status = await ask("ask for the user's rights", (db) => db.command({ connectionStatus: 1, showPrivileges: true }));
      const { authenticatedUsers: [user] = [], authenticatedUserPrivileges: privileges = [] } = (status["authInfo"] ?? {}) as {
        readonly authenticatedUsers?: readonly { readonly user: string }[];
        readonly authenticatedUserPrivileges?: readonly Privilege[];
      };
      return { user: user?.user, privileges };
    },

    async majorityMs() {
      const began = clock.mono();
      // A write that finds nothing waits all the same until a majority has what came before it.
      await ask("have a majority acknowledge a write", (db) => db.collection("runtime.control").deleteOne(NOBODY));
      return clock.mono() - began;
    },

    async streams() {
      if ((await streams((db) => db)) === undefined) return { by: "database" };
      const refusal = await streams((db) => db.collection("runtime.segments"));
      return refusal === undefined ? { by: "collections" } : { by: "none", why: refusal.message };
    },

    async close() {
      // One that never came up has closed itself.
      const opened = await opening?.catch(() => undefined);
      await opened?.client.close();
    },
  };
}

function textOf(document: Document, field: string): string | undefined {
  const value: unknown = document[field];
  return typeof value === "string" ? value : undefined;
}
