import { join } from "node:path";
import { expect } from "chai";
import { type Db, MongoClient } from "mongodb";
import { openCache, type Place } from "../../scripts/lib/cache.ts";
import { type GuardedMongo, startGuardedMongo } from "../../scripts/lib/mongo-users.ts";
import { runMongoScript } from "../../scripts/lib/mongosh.ts";
import { openRun, type Run } from "../../scripts/lib/run-dir.ts";
import { rejection } from "./engine.suite.ts";

const script = join(import.meta.dirname, "..", "..", "examples", "mongodb-role.js");
const REFUSED = 13;

type Attempt = { readonly what: string; readonly act: (db: Db) => Promise<unknown> };
const bots = (db: Db) => db.collection<{ _id: string; n?: number }>("fleet-bots");

const allowed: readonly Attempt[] = [
  { what: "read a bot", act: (db) => bots(db).findOne({ _id: "a" }) },
  { what: "count bots", act: (db) => bots(db).countDocuments({}) },
  { what: "insert into runtime.status", act: (db) => db.collection("runtime.status").insertOne({}) },
  { what: "upsert into runtime.fleet", act: (db) => db.collection("runtime.fleet").updateOne({}, { $set: { n: 1 } }, { upsert: true }) },
  { what: "delete from runtime.placements", act: (db) => db.collection("runtime.placements").deleteOne({}) },
  { what: "index runtime.runs", act: (db) => db.collection("runtime.runs").createIndex({ n: 1 }) },
  { what: "find and update in runtime.workers", act: (db) => db.collection("runtime.workers").findOneAndUpdate({}, { $set: { n: 1 } }) },
];
const forbidden: readonly Attempt[] = [
  { what: "insert a bot", act: (db) => bots(db).insertOne({ _id: "b" }) },
  { what: "change a bot", act: (db) => bots(db).updateOne({ _id: "a" }, { $set: { n: 2 } }) },
  { what: "change a bot while finding it", act: (db) => bots(db).findOneAndUpdate({ _id: "a" }, { $set: { n: 2 } }) },
  { what: "delete a bot", act: (db) => bots(db).deleteOne({ _id: "a" }) },
  {
    what: "write bots by a pipeline",
    act: (db) =>
      db
        .collection("runtime.status")
        .aggregate([{ $merge: "fleet-bots" }])
        .toArray(),
  },
  { what: "index the bots", act: (db) => bots(db).createIndex({ n: 1 }) },
  { what: "drop the bots", act: (db) => bots(db).drop() },
  { what: "drop what is its own", act: (db) => db.collection("runtime.status").drop() },
  { what: "read another collection of the database", act: (db) => db.collection("secrets").findOne({}) },
  { what: "write another collection of the database", act: (db) => db.collection("secrets").insertOne({}) },
];
/** What this server refuses by itself, without the guard in between. */
const elsewhere: readonly Attempt[] = [
  { what: "read another database", act: (db) => db.client.db("others").collection("bots").findOne({}) },
  { what: "write another database", act: (db) => db.client.db("others").collection("bots").insertOne({}) },
  { what: "make a user", act: (db) => db.command({ createUser: "me", pwd: "x", roles: [] }) },
  { what: "give itself another role", act: (db) => db.command({ grantRolesToUser: "runtime", roles: ["readWrite"] }) },
];

describe("examples/mongodb-role.js", function () {
  this.timeout(60_000);
  let run: Run;
  let place: Place;
  let server: GuardedMongo;
  const clients: MongoClient[] = [];
  const names = { DB_NAME: "role", COLLECTION_NAME: "fleet-bots" };

  function as(uri: string): Db {
    const client = new MongoClient(uri, { serverSelectionTimeoutMS: 5_000 });
    clients.push(client);
    return client.db("role");
  }
  const codeOf = async (work: Promise<unknown>): Promise<unknown> => ((await rejection(work)) as { code?: unknown }).code;

  before(async function () {
    this.timeout(120_000);
    if (!process.env.MONGO_URI) return this.skip();
    run = await openRun();
    place = { runDir: run.dir, cacheDir: await openCache(process.env), say: () => {} };
    server = await startGuardedMongo({ ...place, dbName: "role", collection: "fleet-bots" });
    await bots(as(server.rootUri)).insertOne({ _id: "a", n: 1 });
  });
  after(async () => {
    await Promise.all(clients.map((client) => client.close()));
    await server?.stop();
    await run?.remove();
  });

  for (const { what, act } of allowed) it(`lets the runtime ${what}`, () => act(as(server.runtimeUri)));

  for (const { what, act } of forbidden)
    it(`does not let it ${what}`, async () => {
      expect(await codeOf(act(as(server.runtimeUri)))).to.equal(REFUSED);
      expect(await bots(as(server.rootUri)).find().toArray()).to.deep.equal([{ _id: "a", n: 1 }]);
    });

  for (const { what, act } of elsewhere)
    it(`does not let it ${what}`, async () => {
      for (const uri of [server.runtimeUri, server.unguardedUri]) expect(await codeOf(act(as(uri)))).to.equal(REFUSED);
    });

  it("sets rights and password anew when it is run again", async () => {
    const again = { ...names, RUNTIME_USER: "twice" };
    for (const RUNTIME_PASSWORD of ["first", "second"])
      expect(runMongoScript(server.rootUri, script, { ...again, RUNTIME_PASSWORD })).to.deep.equal([
        '"twice" of "role" may read fleet-bots and write runtime.*',
      ]);
    const uri = (password: string) => `mongodb://twice:${password}@127.0.0.1:${server.port}/role?directConnection=true`;
    expect(await bots(as(uri("second"))).countDocuments()).to.equal(1);
    expect(await codeOf(bots(as(uri("first"))).countDocuments())).to.equal(18); // AuthenticationFailed
  });

  it("makes a user that may watch the whole database where that is asked for, and read all of it then", async () => {
    const other = await startGuardedMongo({ ...place, dbName: "role", collection: "fleet-bots", env: { WHOLE_DATABASE: "yes" } });
    try {
      const db = as(other.runtimeUri);
      const stream = db.watch([], { maxAwaitTimeMS: 50 });
      expect(await stream.tryNext()).to.equal(null);
      await stream.close();
      expect(other.refusedStreams).to.deep.equal([]);
      await db.collection("secrets").findOne({});
      expect(await codeOf(bots(db).insertOne({ _id: "b" }))).to.equal(REFUSED);
    } finally {
      await other.stop();
    }
  });

  it("makes no user without a password, and says which variable is missing", () => {
    expect(() => runMongoScript(server.rootUri, script, { ...names, RUNTIME_USER: "nobody" })).to.throw(
      "RUNTIME_PASSWORD: must not be empty: set it to the new user's password",
    );
  });

  it("is refused to those who may make no users", () => {
    expect(() => runMongoScript(server.unguardedUri, script, { ...names, RUNTIME_PASSWORD: "x" })).to.throw(/not authorized/);
  });
});
