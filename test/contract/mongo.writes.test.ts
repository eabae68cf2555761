import { expect } from "chai";
import { type Document, MongoClient } from "mongodb";
import { openCache } from "../../scripts/lib/cache.ts";
import { type MongoRelay, relayMongo } from "../../scripts/lib/mongo-relay.ts";
import { commandOf, requestId, responseTo } from "../../scripts/lib/mongo-wire.ts";
import { type PrivateMongo, startPrivateMongo } from "../../scripts/lib/private-mongo.ts";
import { openRun, type Run } from "../../scripts/lib/run-dir.ts";
import { StoreUnreachableError } from "../../src/core/errors.ts";
import type { Operation, RecordId } from "../../src/core/operations.ts";
import { type Connection, connectStore } from "../../src/mongo/connect.ts";
import { systemClock } from "../../src/process/clock.ts";
import { applyTo, type Doc } from "../support/apply-operation.ts";
import { aSegment, bot, segment } from "../support/builders.ts";
import { rejection } from "./engine.suite.ts";
import { operationCases } from "./operation-cases.ts";

type Keyed = Document & { _id: RecordId };
const dbName = "writes";

/** One write of each kind in ownership.md and of each that has none there. */
const kinds = new Map(operationCases.flatMap((one) => (one.gives === undefined ? [] : [[one.operation.op, one] as const])));

/** Faults of one call, past the driver's own second try where it makes one. `lands`: the server did what was asked, and
 *  only we do not know. Without `data` the reply is lost on its way. */
const FAULTS = [
  { fault: "the server takes too long and gives it up", lands: false, times: 1, data: { errorCode: 50 } },
  { fault: "the connection breaks before it is carried out", lands: false, times: 2, data: { closeConnection: true } },
  {
    fault: "the majority is not heard of in time",
    lands: true,
    times: 1,
    data: { writeConcernError: { code: 64, errmsg: "waiting timed out" } },
  },
  { fault: "the reply is lost with its connection", lands: true, times: 2, data: undefined },
] as const;

/** A write whose outcome is not known is asked for again by its loop: that must come to what one write comes to. */
describe("MongoDB adapter: writes of unknown outcome", function () {
  this.timeout(60_000);
  let run: Run;
  let server: PrivateMongo;
  let relay: MongoRelay;
  let user: MongoClient;
  let connection: Connection;
  /** How many more replies to this command are lost. */
  let lost = { verb: "", times: 0 };

  before(async function () {
    this.timeout(120_000);
    if (!process.env.MONGO_URI) return this.skip();
    run = await openRun();
    const place = { runDir: run.dir, cacheDir: await openCache(process.env), say: () => {} };
    server = await startPrivateMongo({ ...place, flags: ["--enable-test-commands"] });
    user = new MongoClient(server.uri);
    relay = await relayMongo(server.port, () => {
      const asked = new Set<number>();
      return {
        answer: (request) => void (lost.verb in (commandOf(request) ?? {}) && asked.add(requestId(request))),
        loses: (reply) => asked.delete(responseTo(reply)) && lost.times-- > 0,
      };
    });
    const uri = `mongodb://127.0.0.1:${relay.port}/?directConnection=true`;
    connection = await connectStore({ uri, dbName, collectionName: "bots", clock: systemClock, random: Math.random });
  });
  afterEach(async () => {
    await user.db("admin").command({ configureFailPoint: "failCommand", mode: "off" });
    lost = { verb: "", times: 0 };
  });
  after(async () => {
    await connection?.close();
    await relay?.stop();
    await user?.close();
    await server?.stop();
    await run?.remove();
  });

  const of = (name: string) => user.db(dbName).collection<Keyed>(`runtime.${name}`);
  const stored = async ({ collection, id }: Pick<Operation, "collection" | "id">): Promise<Doc | undefined> =>
    (await of(collection).findOne({ _id: id })) ?? undefined;

  /** The next call of this command meets the fault. */
  async function meet({ times, data }: (typeof FAULTS)[number], verb: string): Promise<void> {
    if (data === undefined) lost = { verb, times };
    else await user.db("admin").command({ configureFailPoint: "failCommand", mode: { times }, data: { failCommands: [verb], ...data } });
  }

  for (const met of FAULTS) {
    const { fault, lands } = met;
    describe(`when ${fault}`, () => {
      for (const { why, operation, given, gives } of kinds.values()) {
        it(why, async () => {
          const collection = of(operation.collection);
          await collection.deleteMany({});
          if (given !== undefined) await collection.insertOne(given as never);
          await meet(met, operation.remove === true ? "delete" : "update");
          expect(await rejection(connection.store.apply(operation))).to.be.instanceOf(StoreUnreachableError);
          const once = gives === "gone" ? undefined : { _id: operation.id, ...given, ...gives };
          const now = await stored(operation);
          expect(now).to.deep.equal(lands ? once : given);
          await connection.store.apply(operation);
          expect(await stored(operation)).to.deep.equal(applyTo(now, operation).document);
        });
      }

      it("inserts once", async () => {
        await of("segments").deleteMany({});
        await meet(met, "insert");
        expect(await rejection(connection.store.insert("segments", aSegment(1)))).to.be.instanceOf(StoreUnreachableError);
        expect(await connection.store.insert("segments", aSegment(1, { term: 9 }))).to.equal(lands ? "exists" : "inserted");
        expect(await of("segments").countDocuments()).to.equal(1);
      });

      it("inserts placements once", async () => {
        await of("placements").deleteMany({});
        const records = ["a", "b", "c"].map((id) => ({ _id: bot(id), segment: segment(1), active: true, done: null }));
        await meet(met, "insert");
        expect(await rejection(connection.store.insertPlacements(records))).to.be.instanceOf(StoreUnreachableError);
        await connection.store.insertPlacements(records);
        expect(
          await of("placements")
            .find({}, { sort: { _id: 1 } })
            .toArray(),
        ).to.deep.equal(records);
      });
    });
  }
});
