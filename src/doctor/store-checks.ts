import { type Check, fail, ok, type Said, warn } from "./finding.ts";
import type { Privilege, StoreProbe } from "./ports.ts";

/** The collections of ours, which the runtime writes. Source: design.md section 3. */
const OWNED = ["control", "placements", "segments", "workers", "fleet", "status", "runs"].map((name) => `runtime.${name}`);
/** What it does there. The server tells the last two, and cannot be asked for them without a change; nor, for a collection
 *  that is not there yet, for the third. */
const ACTIONS = ["find", "remove", "update", "insert", "createIndex"] as const;
const ASKED = ["find", "remove", "update"] as const;

type Names = { readonly dbName: string; readonly collectionName: string };

export function storeChecks(store: StoreProbe, { dbName, collectionName }: Names): Check[] {
  const role = `grant this user ${ACTIONS.join(", ")} on the runtime.* collections of "${dbName}" (a readWrite role on a database of their own does)`;
  return [
    {
      name: "mongodb",
      mend: "start MongoDB, or correct MONGO_URI (and MONGO_TLS_*); from a pod also: a NetworkPolicy between the two",
      look: async () => judgeServer(await store.server()),
    },
    {
      name: "mongodb-bots",
      after: "mongodb",
      mend: `grant this user read on "${dbName}.${collectionName}"`,
      look: async () => judgeBots(await store.may(collectionName, "find"), `${dbName}.${collectionName}`),
    },
    {
      name: "mongodb-runtime",
      after: "mongodb",
      mend: role,
      look: async () => {
        const there = new Set(await store.collections());
        const asked = OWNED.flatMap((collection) =>
          ASKED.filter((act) => act !== "update" || there.has(collection)).map((act) => ({ collection, act })),
        );
        const answers = await Promise.all(asked.map(async (one) => ({ ...one, may: await store.may(one.collection, one.act) })));
        const grants = await store.grants();
        const refused = answers.filter((one) => !one.may).map(({ collection, act }) => `${act} ${collection}`);
        return judgeRuntime({ ...grants, refused, dbName }, role);
      },
    },
    {
      name: "mongodb-majority",
      after: "mongodb",
      mend: `a majority of the replica set's members must be up and in step, and this user may remove from "${dbName}.runtime.control"`,
      look: async () => ok(`a majority acknowledges a write in ${Math.round(await store.majorityMs())} ms`),
    },
    {
      name: "mongodb-changes",
      after: "mongodb",
      mend: "look at the server's log",
      look: async () => judgeStreams(await store.streams(), dbName),
    },
  ];
}

function judgeServer({ version, replicaSet, isRouter }: Awaited<ReturnType<StoreProbe["server"]>>): Said {
  if (isRouter) return ok(`version ${version}, a sharded cluster`);
  if (replicaSet !== undefined) return ok(`version ${version}, replica set "${replicaSet}"`);
  return warn(`version ${version}, a server that stands alone`, "make it a replica set, if only of one: else changes are polled for");
}

function judgeBots(mayRead: boolean, name: string): Said {
  return mayRead ? ok(`may read "${name}"`) : fail(`may not read "${name}"`, `grant this user read on "${name}"; it needs no more there`);
}

type RuntimeRights = {
  readonly user: string | undefined;
  readonly privileges: readonly Privilege[];
  /** What was tried and refused, `update runtime.status`. */
  readonly refused: readonly string[];
  readonly dbName: string;
};

function judgeRuntime({ user, privileges, refused, dbName }: RuntimeRights, role: string): Said {
  const tells = privileges.length > 0;
  const untold = tells
    ? OWNED.flatMap((collection) =>
        ACTIONS.filter((action) => !isGranted(privileges, dbName, collection, action)).map((action) => `${action} ${collection}`),
      )
    : [];
  const missing = [...new Set([...refused, ...untold])];
  if (missing.length > 0) return fail(`may not ${missing.join(", ")}`, role);
  if (user === undefined) return warn("may write runtime.*, as anybody may: the server asks for no user", "turn access control on");
  return ok(`"${user}" may write runtime.*${tells ? "" : " (this server does not tell of insert and createIndex)"}`);
}

function isGranted(privileges: readonly Privilege[], db: string, collection: string, action: string): boolean {
  return privileges.some(
    ({ resource, actions }) =>
      actions.some((granted) => granted === action || granted === "anyAction") &&
      (resource.anyResource === true ||
        (resource.db !== undefined &&
          (resource.db === "" || resource.db === db) &&
          (resource.collection === "" || resource.collection === collection))),
  );
}

function judgeStreams(streams: Awaited<ReturnType<StoreProbe["streams"]>>, dbName: string): Said {
  if (streams.by !== "none")
    return ok(streams.by === "database" ? `one change stream for all of "${dbName}"` : "a change stream for each collection");
  return warn(
    `no change streams, so changes are polled for every 5 s: ${streams.why}`,
    `make the server a replica set, and grant this user changeStream on "${dbName}"`,
  );
}
