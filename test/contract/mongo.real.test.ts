import { randomBytes } from "node:crypto";
import { EventEmitter } from "node:events";
import { expect } from "chai";
import { BSON, type Collection, type Document, Long, MongoClient, ObjectId } from "mongodb";
import { ConfigurationError, StoreUnreachableError } from "../../src/core/errors.ts";
import { createBotReader } from "../../src/document/read-bot.ts";
import { Admission } from "../../src/leader/admission.ts";
import type { LeaderEvents } from "../../src/leader/events.ts";
import { type Connection, connectStore } from "../../src/mongo/connect.ts";
import { openUserBots } from "../../src/mongo/user-bots.ts";
import { systemClock } from "../../src/process/clock.ts";
import { aFleetView, bot } from "../support/builders.ts";
import type { RawId } from "../../src/core/ids.ts";
import type { StatusRecord } from "../../src/core/records.ts";

type Keyed = Document & { _id: unknown };
const uri = process.env.MONGO_URI ?? "";
const adapters = { clock: systemClock, random: Math.random };

const dbName = `br_store_${randomBytes(5).toString("hex")}`;
const options = { uri, dbName, collectionName: "bots" };

const never = new AbortController().signal;
const string = (value: string): RawId => ({ kind: "string", value });
const objectId = (hex: string): RawId => ({ kind: "objectId", hex });
const collect = <T>(items: AsyncIterable<T>): Promise<T[]> => Array.fromAsync(items);

/** Opens and closes; gives the fault, if any. */
const attempt = async (over: Partial<Parameters<typeof connectStore>[0]>): Promise<unknown> =>
  connectStore({ ...options, ...adapters, timeoutMs: 500, ...over }).then(
    (made) => made.close(),
    (error: unknown) => error,
  );

const use = async (act: (bots: Awaited<ReturnType<typeof openUserBots>>) => Promise<void>): Promise<void> => {
  const bots = await openUserBots(options);
  try {
    await act(bots);
  } finally {
    await bots.close();
  }
};

describe("MongoDB adapter: what only the real server shows", () => {
  let client: MongoClient;
  let connection: Connection;
  let users: Collection<Keyed>;
  before(async function () {
    if (uri === "") return this.skip();
    client = await new MongoClient(uri).connect();
    users = client.db(dbName).collection<Keyed>("bots");
    connection = await connectStore({ ...options, ...adapters });
    await connection.ensureIndexes();
  });
  afterEach(async () => {
    const own = ["control", "placements", "segments", "workers", "status", "runs", "fleet"].map((name) => `runtime.${name}`);
    await users.deleteMany({});
    await Promise.all(own.map((name) => client.db(dbName).collection(name).deleteMany({})));
  });
  after(async () => {
    await client?.db(dbName).dropDatabase();
    await connection?.close();
    await client?.close();
  });

  it("makes its indexes, again and again, and none on the user's collection", async () => {
    await users.insertOne({ _id: "a" });
    await connection.ensureIndexes();
    expect((await users.indexes()).map(({ name }) => name)).to.deep.equal(["_id_"]);
    const db = client.db(dbName);
    const keysOf = async (name: string): Promise<string[]> =>
      (await db.collection(`runtime.${name}`).indexes()).map(({ key }) => Object.keys(key).join());
    expect(await keysOf("placements")).to.have.members(["_id", "active,segment"]);
    expect(await keysOf("runs")).to.have.members(["_id", "bot,ended", "ended"]);
    expect(await keysOf("segments")).to.have.members(["_id", "owner", "target"]);
  });

  it("publishes one document that tells the newest view", async () => {
    await connection.store.publishFleet(aFleetView({ seq: 1, old: true } as object));
    await connection.store.publishFleet(aFleetView({ seq: 2 }));
    expect(await client.db(dbName).collection("runtime.fleet").find().toArray()).to.deep.equal([aFleetView({ seq: 2 })]);
  });

  it("gives every _id that names no bot by its canonical form, at most 200 characters of it", async () => {
    const ids = [5, 2.5, true, new Date(0), Long.MAX_VALUE, { a: 1 }, new BSON.Binary(Buffer.from("x")), { long: "x".repeat(500) }];
    await users.insertMany([...ids.map((_id) => ({ _id })), { _id: "a" }, { _id: new ObjectId() }]);
    const texts = (await collect(connection.store.otherBots(never))).map(({ raw }) => (raw.kind === "other" ? raw.text : raw));
    expect(texts).to.have.members([
      '{"$numberInt":"5"}',
      '{"$numberDouble":"2.5"}',
      "true",
      '{"$date":{"$numberLong":"0"}}',
      '{"$numberLong":"9223372036854775807"}',
      '{"a":{"$numberInt":"1"}}',
      '{"$binary":{"base64":"eA==","subType":"00"}}',
      `{"long":"${"x".repeat(191)}`,
    ]);
  });

  it("makes plain numbers of every kind that is exact, and leaves what is not", async () => {
    await users.insertOne({
      _id: "a",
      int: new BSON.Int32(7),
      double: new BSON.Double(7),
      long: Long.fromNumber(7),
      huge: Long.MAX_VALUE,
      of: new ObjectId("a".repeat(24)),
    });
    const [found] = await connection.store.findBots([bot("a")]);
    expect(found?.document).to.deep.include({ int: 7, double: 7, long: 7 });
    expect(found?.document["huge"]).to.be.instanceOf(Long);
    expect(found?.document["of"]).to.be.instanceOf(ObjectId);
  });

  it("admits what stands around a document of 15 MB, and says of that one what is wrong", async () => {
    const config = { text: "x".repeat(15 * 1024 * 1024) };
    await users.insertMany([
      { _id: "a", image: "i" },
      { _id: "big", image: "i", config },
      { _id: "c", image: "i" },
    ]);
    const { store } = connection;
    const read = createBotReader({ maxStopGraceSeconds: 60 });
    const admission = new Admission({ store, read, maxSegment: 16, clock: systemClock, bus: new EventEmitter<LeaderEvents>() });
    await admission.merge(never);
    expect((await collect(store.allPlacements(never))).map(({ _id, active }) => [_id, active])).to.deep.equal([
      ["a", true],
      ["big", false],
      ["c", true],
    ]);
    const [status, ...others] = await store.findStatuses(["a", "big", "c"].map(bot));
    expect([status?._id, status?.state, others]).to.deep.equal(["big", "invalid", []]);
    expect(status?.message).to.match(/^config: must be at most 1048576 bytes as JSON, got 1572\d{4} bytes/);
  });

  it("reads on for longer than one call may take", async () => {
    const patient = await connectStore({ ...options, ...adapters, timeoutMs: 400 });
    await users.insertMany(Array.from({ length: 600 }, (_, i) => ({ _id: `bot-${i}` })));
    const began = performance.now();
    let seen = 0;
    for await (const _ of patient.store.stringBots(never)) if (++seen % 100 === 0) await systemClock.sleep(100, never);
    expect(seen).to.equal(600);
    expect(performance.now() - began).to.be.greaterThan(400);
    await patient.close();
  });

  describe("connecting", () => {
    const secret = "s3cr3t";
    const cases = [
      { why: "no URI at all", over: { uri: "x" }, gives: ConfigurationError, names: "MONGO_URI" },
      { why: "another scheme", over: { uri: `http://u:${secret}@h` }, gives: ConfigurationError, names: "MONGO_URI" },
      {
        why: "an unknown option",
        over: { uri: `mongodb://u:${secret}@127.0.0.1:1/?nonsense=1` },
        gives: ConfigurationError,
        names: "MONGO_URI",
      },
      { why: "nobody listens", over: { uri: `mongodb://u:${secret}@127.0.0.1:1/` }, gives: StoreUnreachableError, names: "MongoDB" },
      { why: "no such certificate", over: { tls: { caFile: "/nowhere/ca.pem" } }, gives: ConfigurationError, names: "/nowhere/ca.pem" },
    ];
    for (const { why, over, gives, names } of cases) {
      it(`refuses, naming it and no password: ${why}`, async () => {
        const error = (await attempt(over)) as Error;
        expect(error).to.be.instanceOf(gives);
        expect(error.message).to.include(names);
        expect(error.message).not.to.include(secret);
      });
    }

    it("answers a ping, and fails after it was closed", async () => {
      const own = await connectStore({ ...options, ...adapters });
      await own.ping();
      await own.close();
      expect(await own.store.workers().catch((error: unknown) => error)).to.be.instanceOf(Error);
    });
  });

  describe("the command line's way", () => {
    it("creates, configures and leaves unchanged", () =>
      use(async (bots) => {
        const put = (document: object) => bots.putBot({ raw: string("a"), document: document as Record<string, unknown> });
        expect(await put({ image: "x", env: { A: "1" } })).to.equal("created");
        expect(await put({ env: { A: "1" }, image: "x", _id: "ignored" })).to.equal("unchanged");
        expect(await put({ image: "y" })).to.equal("configured");
        expect(await collect(bots.listBots())).to.deep.equal([{ raw: string("a"), document: { _id: "a", image: "y" } }]);
      }));

    it("enables, disables and deletes; of twins it means the ObjectId", () =>
      use(async (bots) => {
        const hex = "a".repeat(24);
        await users.insertMany([{ _id: hex }, { _id: new ObjectId(hex) }, { _id: "b" }]);
        expect(await bots.setEnabled(bot("none"), true)).to.equal("missing");
        expect(await bots.setEnabled(bot("b"), false)).to.equal("configured");
        expect(await bots.setEnabled(bot("b"), false)).to.equal("unchanged");
        expect(await bots.setEnabled(bot(hex), false)).to.equal("configured");
        expect(await users.findOne({ _id: hex } as object)).to.deep.equal({ _id: hex });
        expect(await bots.getBot(bot(hex))).to.have.lengthOf(2);
        expect(await bots.deleteBot(bot(hex))).to.equal(true);
        expect((await bots.getBot(bot(hex))).map(({ raw }) => raw)).to.deep.equal([string(hex)]);
        expect(await bots.deleteBot(bot(hex))).to.equal(true);
        expect(await bots.deleteBot(bot(hex))).to.equal(false);
      }));

    it("writes under an ObjectId", () =>
      use(async (bots) => {
        expect(await bots.putBot({ raw: objectId("a".repeat(24)), document: { image: "x" } })).to.equal("created");
        expect(await users.findOne({ _id: new ObjectId("a".repeat(24)) } as object)).to.deep.include({ image: "x" });
      }));

    it("reads statuses", () =>
      use(async (bots) => {
        const record: StatusRecord = {
          _id: bot("a"),
          epoch: 5,
          sid: null,
          state: "running",
          since: new Date(1_000),
          worker: "pod",
          container: "c1",
          restarts: 0,
          attempt: 0,
          nextStart: null,
          lastExit: null,
          message: "",
          warnings: [],
          spec: null,
        };
        await client.db(dbName).collection<Keyed>("runtime.status").insertOne(record);
        expect(await bots.status(bot("a"))).to.deep.equal(record);
        expect(await bots.status(bot("b"))).to.equal(undefined);
        expect(await collect(bots.statuses())).to.deep.equal([record]);
      }));
  });
});
