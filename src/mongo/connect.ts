import { MongoClient, type MongoClientOptions, MongoParseError } from "mongodb";
import { ConfigurationError } from "../core/errors.ts";
import type { ChangeFeed } from "../core/ledger.ts";
import { CALL_LIMIT_MS, guarded } from "./errors.ts";
import { type FeedOptions, MongoFeed } from "./feed.ts";
import { MongoStore } from "./store.ts";

export type MongoOptions = {
  readonly uri: string;
  readonly dbName: string;
  /** The user's collection; only read. */
  readonly collectionName: string;
  readonly tls?: { readonly caFile?: string | undefined; readonly certFile?: string | undefined };
};

/** A client whose every call ends in time; writes are acknowledged by a majority, reads come from the primary.
 *  @throws {ConfigurationError} for a URI that no driver can use */
export function createClient({ uri, tls }: MongoOptions): MongoClient {
  const options: MongoClientOptions = {
    serverSelectionTimeoutMS: CALL_LIMIT_MS,
    connectTimeoutMS: CALL_LIMIT_MS,
    // Silence on a socket: ends what a stopped server keeps waiting. Change streams answer every 2 s, so they live on.
    socketTimeoutMS: CALL_LIMIT_MS,
    waitQueueTimeoutMS: CALL_LIMIT_MS,
    writeConcern: { w: "majority" },
    readPreference: "primary",
    retryWrites: true,
    retryReads: true,
    ignoreUndefined: true,
    appName: "bot-runner",
    ...(tls?.caFile === undefined ? {} : { tls: true, tlsCAFile: tls.caFile }),
    ...(tls?.certFile === undefined ? {} : { tls: true, tlsCertificateKeyFile: tls.certFile }),
  };
  try {
    return new MongoClient(uri, options);
  } catch (cause) {
    // The driver's text may quote the URI with its password; ours does not.
    if (cause instanceof MongoParseError || cause instanceof Error)
      throw new ConfigurationError("MONGO_URI: is not a connection string that the MongoDB driver takes: correct its hosts and options");
    throw cause;
  }
}

export type Connection = {
  readonly store: MongoStore;
  readonly feed: ChangeFeed;
  ensureIndexes(): Promise<void>;
  close(): Promise<void>;
};

/** Connects and checks that the server answers. @throws {StoreUnreachableError}, {ConfigurationError} */
export async function connectStore(options: MongoOptions & FeedOptions): Promise<Connection> {
  const client = createClient(options);
  try {
    await guarded("connect", async () => {
      await client.connect();
      await client.db(options.dbName).command({ ping: 1 });
    });
  } catch (error) {
    await client.close();
    throw error;
  }
  const db = client.db(options.dbName);
  const store = new MongoStore(db, db.collection(options.collectionName));
  return {
    store,
    feed: new MongoFeed(db, options.collectionName, options),
    ensureIndexes: () => store.ensureIndexes(),
    close: () => client.close(),
  };
}
