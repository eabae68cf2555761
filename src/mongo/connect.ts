import { MongoAPIError, MongoClient, type MongoClientOptions } from "mongodb";
import { ConfigurationError, StoreUnreachableError } from "../core/errors.ts";
import type { ChangeFeed } from "../core/ledger.ts";
import type { UserCollection } from "./bots.ts";
import type { Election } from "../leader/elector.ts";
import { MongoElection } from "./election.ts";
import { isAuthenticationFailure } from "./errors.ts";
import { type FeedOptions, MongoFeed } from "./feed.ts";
import { Guard } from "./guard.ts";
import { SharedFeed } from "./shared-feed.ts";
import { MongoStore } from "./store.ts";
import { tlsMend } from "./tls-faults.ts";

export type MongoOptions = {
  readonly uri: string;
  readonly dbName: string;
  /** The user's collection; only read. */
  readonly collectionName: string;
  readonly tls?: { readonly caFile?: string | undefined; readonly certFile?: string | undefined };
  /** No call waits longer, in ms: the driver's own default is for ever. @default 10000 */
  readonly timeoutMs?: number | undefined;
  /** Connections at most. @default the driver's, 100 */
  readonly poolSize?: number | undefined;
};

const CALL_LIMIT_MS = 10_000;
/** How long the server may keep a quiet stream's request, in ms: each answer that says "nothing" costs both sides a
 *  call, and a change is told at once anyway. */
const MAX_AWAIT_MS = 5_000;

/** An open client and the guard that all its calls go through. */
export type OpenClient = { readonly client: MongoClient; readonly guard: Guard };

export type Connection = {
  readonly store: MongoStore;
  /** The lease of leadership, each call within `limitMs`. */
  election(limitMs: number): Election;
  readonly feed: ChangeFeed;
  /** @throws {StoreUnreachableError} */
  ping(): Promise<void>;
  ensureIndexes(): Promise<void>;
  close(): Promise<void>;
};

/** Connects and checks that the server answers. @throws {StoreUnreachableError} @throws {ConfigurationError} */
export async function connectStore(options: MongoOptions & FeedOptions): Promise<Connection> {
  const { client, guard } = await openClient(options);
  const db = client.db(options.dbName);
  const bots: UserCollection = db.collection(options.collectionName);
  const store = new MongoStore(db, bots, guard);
  return {
    store,
    election: (limitMs) => new MongoElection(db, limitMs),
    feed: new SharedFeed(new MongoFeed(db, options.collectionName, { awaitMs: Math.min(MAX_AWAIT_MS, guard.stageMs / 2), ...options })),
    ping: () => ping({ client, guard }),
    ensureIndexes: () => store.ensureIndexes(),
    close: () => client.close(),
  };
}

/** Opens a client whose every call ends in time. Writes are acknowledged by a majority and reads see only what a majority
 *  has: a segment that was read as ours cannot be rolled back. @throws {StoreUnreachableError} @throws {ConfigurationError} */
export async function openClient({ uri, tls, timeoutMs, poolSize }: MongoOptions): Promise<OpenClient> {
  const guard = new Guard(timeoutMs ?? CALL_LIMIT_MS);
  const { stageMs } = guard;
  const client = createClient(uri, {
    serverSelectionTimeoutMS: stageMs,
    connectTimeoutMS: stageMs,
    waitQueueTimeoutMS: stageMs,
    socketTimeoutMS: stageMs,
    writeConcern: { w: "majority", wtimeoutMS: stageMs },
    readConcernLevel: "majority",
    readPreference: "primary",
    retryWrites: true,
    retryReads: true,
    // One garbled string must not make every document unreadable that came in the same reply.
    enableUtf8Validation: false,
    appName: "bot-runner",
    ...(poolSize === undefined ? {} : { maxPoolSize: poolSize }),
    ...(tls?.caFile === undefined ? {} : { tls: true, tlsCAFile: tls.caFile }),
    ...(tls?.certFile === undefined ? {} : { tls: true, tlsCertificateKeyFile: tls.certFile }),
  });
  try {
    await guard.call("connect", () => client.connect());
    await ping({ client, guard });
  } catch (error) {
    await client.close();
    throw asConnectError(error);
  }
  return { client, guard };
}

async function ping({ client, guard }: OpenClient): Promise<void> {
  await guard.call("ping", () => client.db("admin").command({ ping: 1 }));
}

function createClient(uri: string, options: MongoClientOptions): MongoClient {
  try {
    return new MongoClient(uri, options);
  } catch {
    // Without its cause: the driver's text may quote the URI with its password.
    throw new ConfigurationError(
      "MONGO_URI: is not a connection string that the MongoDB driver takes: correct its scheme, hosts and options",
    );
  }
}

/** Tells apart what a person must mend, what passes, and the rest, which stays as it is. */
function asConnectError(error: unknown): unknown {
  if (isAuthenticationFailure(error))
    return new ConfigurationError("MONGO_URI: the server refuses this user and password: correct them, or authSource", { cause: error });
  // A host name without records, for example.
  if (error instanceof MongoAPIError)
    return new ConfigurationError("MONGO_URI: names a server that the MongoDB driver cannot use: correct its hosts and options", {
      cause: error,
    });
  if (!(error instanceof Error)) return error;
  const mend = tlsMend(error);
  if (mend !== undefined) return new ConfigurationError(mend, { cause: error });
  const { syscall, path } = error as NodeJS.ErrnoException;
  if (syscall?.startsWith("query") === true)
    return new StoreUnreachableError("Cannot look up the hosts of MONGO_URI in DNS", { cause: error });
  if (path !== undefined)
    return new ConfigurationError(
      `MONGO_TLS_CA_FILE or MONGO_TLS_CERT_FILE: cannot read "${path}": name a PEM file that this process may read`,
      { cause: error },
    );
  return error;
}
