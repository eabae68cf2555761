// The user that the runtime needs in MongoDB, with the least rights: it reads the bots and cannot change them, and it writes
// its own runtime.* collections. By a user who may make users:
//   RUNTIME_PASSWORD=... mongosh "mongodb://ADMIN:...@mongo:27017/?replicaSet=rs0" examples/mongodb-role.js
// Again: the rights and the password are set anew. DB_NAME, COLLECTION_NAME and RUNTIME_USER are read as well.
// The user belongs to the bots' database, so each tenant's is another one:
//   mongodb://runtime:...@mongo:27017/bot_scheduler?replicaSet=rs0
const { DB_NAME = "bot_scheduler", COLLECTION_NAME = "bots", RUNTIME_USER = "runtime", RUNTIME_PASSWORD, WHOLE_DATABASE } = process.env;
if (!RUNTIME_PASSWORD) throw new Error("RUNTIME_PASSWORD: must not be empty: set it to the new user's password");

const reads = ["find", "changeStream"];
const writes = ["insert", "update", "remove", "createIndex"];
const owned = ["control", "placements", "segments", "workers", "fleet", "status", "runs"];
const privileges = [
  { resource: { db: DB_NAME, collection: COLLECTION_NAME }, actions: reads },
  ...owned.map((name) => ({ resource: { db: DB_NAME, collection: `runtime.${name}` }, actions: [...reads, ...writes] })),
];
// One change stream for all collections instead of one for each, at the price that the user may read every collection of the
// database: WHOLE_DATABASE=yes.
if (WHOLE_DATABASE === "yes") privileges.push({ resource: { db: DB_NAME, collection: "" }, actions: reads });

const bots = db.getSiblingDB(DB_NAME);
const isKnownRole = bots.runCommand({ rolesInfo: "botRunner" }).roles.length > 0;
bots.runCommand({ [isKnownRole ? "updateRole" : "createRole"]: "botRunner", privileges, roles: [] });
const isKnownUser = bots.runCommand({ usersInfo: RUNTIME_USER }).users.length > 0;
bots.runCommand({
  [isKnownUser ? "updateUser" : "createUser"]: RUNTIME_USER,
  pwd: RUNTIME_PASSWORD,
  roles: [{ role: "botRunner", db: DB_NAME }],
});
print(`"${RUNTIME_USER}" of "${DB_NAME}" may read ${COLLECTION_NAME} and write runtime.*`);
