import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { expect } from "chai";
import { type Document, MongoClient } from "mongodb";
import { openCache } from "../../scripts/lib/cache.ts";
import { type MongoRelay, relayMongo } from "../../scripts/lib/mongo-relay.ts";
import { type PrivateMongo, type PrivateMongoOptions, startPrivateMongo } from "../../scripts/lib/private-mongo.ts";
import { openRun, type Run } from "../../scripts/lib/run-dir.ts";
import { StoreUnreachableError } from "../../src/core/errors.ts";
import type { Hint } from "../../src/core/ledger.ts";
import { nextTerm } from "../../src/core/operations.ts";
import { type Connection, connectStore, type MongoOptions } from "../../src/mongo/connect.ts";
import type { MongoStore } from "../../src/mongo/store.ts";
import { systemClock } from "../../src/process/clock.ts";
import { aFleetView, aSegment, aWorker, bot, segment, sid } from "../support/builders.ts";
import { eventually } from "../support/eventually.ts";
import { rejection } from "./engine.suite.ts";

type Keyed = Document & { _id: unknown };
const never = new AbortController().signal;
const first = (items: AsyncIterable<unknown>): Promise<unknown> => items[Symbol.asyncIterator]().next();

async function drain(items: AsyncIterator<unknown>): Promise<void> {
  while ((await items.next()).done !== true);
}

/** One call of every kind that the store makes. */
const CALLS: Readonly<Record<string, (store: MongoStore) => Promise<unknown>>> = {
  apply: (store) => store.apply(nextTerm(1)),
  insert: (store) => store.insert("segments", aSegment(1)),
  insertPlacements: (store) => store.insertPlacements([{ _id: bot(), segment: segment(1), active: true, done: null }]),
  recordRun: (store) => store.recordRun({ _id: "c", bot: bot(), ended: new Date(0) } as Parameters<MongoStore["recordRun"]>[0]),
  publishFleet: (store) => store.publishFleet(aFleetView()),
  stringBots: (store) => first(store.stringBots(never)),
  objectIdBots: (store) => first(store.objectIdBots(never)),
  otherBots: (store) => first(store.otherBots(never)),
  allPlacements: (store) => first(store.allPlacements(never)),
  activePlacements: (store) => first(store.activePlacements([segment(1)], never)),
  findBots: (store) => store.findBots([bot()]),
  findPlacements: (store) => store.findPlacements([bot()]),
  findStatuses: (store) => store.findStatuses([bot()]),
  activeSegments: (store) => store.activeSegments(),
  segments: (store) => store.segments(),
  ownedSegments: (store) => store.ownedSegments(sid(), [segment(1)]),
  workers: (store) => store.workers(),
  fleet: (store) => store.fleet(),
  leaderTerm: (store) => store.leaderTerm(),
  countInvalid: (store) => store.countInvalid(),
};

describe("MongoDB adapter: a server that goes away", function () {
  this.timeout(60_000);
  let run: Run;
  let server: PrivateMongo;
  let user: MongoClient;
  let dbName: string;
  const closers: (() => Promise<unknown>)[] = [];

  /** A storage to come back to that keeps what was acknowledged, and a short memory: after every 1,000 changes the server
   *  forgets all but 100. */
  const kept = () => ({
    storagePath: join(run.dir, "away"),
    flags: ["--sync-on-commit", "--oplog-max-entries", "100", "--enable-test-commands"],
  });
  const start = async (over: Partial<PrivateMongoOptions> = {}): Promise<PrivateMongo> =>
    startPrivateMongo({ runDir: run.dir, cacheDir: await openCache(process.env), say: () => {}, ...over });

  /** The product's connection with a watch on the bots that has had its first look. */
  async function connect(
    uri: string,
    over: Partial<MongoOptions> = {},
  ): Promise<Connection & { readonly hints: Hint[]; readonly leave: () => Promise<void> }> {
    const adapters = { clock: systemClock, random: () => 0, resyncMs: 60_000, pollMs: 60_000 };
    const connection = await connectStore({ uri, dbName, collectionName: "bots", ...adapters, ...over });
    const hints: Hint[] = [];
    const end = new AbortController();
    const watching = connection.feed.watch("bots", (hint) => hints.push(hint), end.signal);
    const leave = async (): Promise<void> => {
      end.abort();
      await watching;
    };
    closers.push(async () => {
      await leave();
      await connection.close();
    });
    await eventually("the first look", async () => hints.length > 0);
    return { ...connection, hints, leave };
  }

  const bots = () => user.db(dbName).collection<Keyed>("bots");
  const fill = (name: string, count: number): Promise<unknown> =>
    bots().insertMany(Array.from({ length: count }, (_, n) => ({ _id: `${name}${n}` })));
  const write = (_id: string): Promise<unknown> => bots().updateOne({ _id } as object, { $inc: { n: 1 } }, { upsert: true });
  const alls = (hints: readonly Hint[]): number => hints.filter(({ kind }) => kind === "all").length;
  const seesById = (hints: readonly Hint[], id: string): Promise<unknown> =>
    eventually(`the bot "${id}" by its id`, async () => {
      await write(id);
      return hints.some((hint) => hint.kind === "some" && hint.ids.includes(id));
    });

  before(async function () {
    this.timeout(120_000);
    if (!process.env.MONGO_URI) return this.skip();
    run = await openRun();
    server = await start(kept());
    user = new MongoClient(server.uri);
  });
  beforeEach(() => {
    dbName = `away_${randomBytes(5).toString("hex")}`;
  });
  afterEach(async () => {
    for (const close of closers.splice(0).toReversed()) await close();
  });
  after(async () => {
    await user?.close();
    if (server !== undefined) process.kill(server.pid, "SIGKILL"); // its storage is of no use any more
    await server?.stop();
    await run?.remove();
  });

  it("ends every call by its limit while the server stands still, and goes on when it moves", async () => {
    await fill("b", 500);
    const { store, hints } = await connect(server.uri, { timeoutMs: 800 });
    const other = await connect(server.uri);
    const reading = store.stringBots(never)[Symbol.asyncIterator]();
    await reading.next(); // its cursor is open, and more is to come
    process.kill(server.pid, "SIGSTOP");
    try {
      await other.leave(); // long before the request that the server keeps would end
      const faults = await Promise.all(Object.entries(CALLS).map(async ([name, call]) => [name, await rejection(call(store))] as const));
      for (const [name, fault] of faults) expect(fault, name).to.be.instanceOf(StoreUnreachableError);
      expect(await rejection(drain(reading))).to.be.instanceOf(StoreUnreachableError);
      expect(await rejection(connect(server.uri, { timeoutMs: 800 }))).to.be.instanceOf(StoreUnreachableError);
    } finally {
      process.kill(server.pid, "SIGCONT");
    }
    await eventually("the store answers", () => store.workers().catch(() => undefined));
    await seesById(hints, "later");
  });

  for (const { why, data } of [
    { why: "is lost", data: { errorCode: 43 } },
    { why: "breaks with its connection", data: { closeConnection: true } },
  ]) {
    it(`ends a scan whose cursor ${why} as one that may be made again`, async () => {
      await fill("b", 500);
      const { store, leave } = await connect(server.uri);
      await leave(); // its own requests are not to meet the fault
      const reading = store.stringBots(never)[Symbol.asyncIterator]();
      await reading.next();
      await user
        .db("admin")
        .command({ configureFailPoint: "failCommand", mode: { times: 1 }, data: { failCommands: ["getMore"], ...data } });
      expect(await rejection(drain(reading))).to.be.instanceOf(StoreUnreachableError);
      expect(await Array.fromAsync(store.stringBots(never))).to.have.lengthOf(500);
    });
  }

  it("goes on when the server was killed and is back on its storage", async () => {
    const { store, hints } = await connect(server.uri);
    process.kill(server.pid, "SIGKILL");
    await server.stop();
    server = await start({ ...kept(), port: server.port });
    await eventually("the store answers", () => store.insert("workers", aWorker("a")).catch(() => undefined));
    await seesById(hints, "later");
  });

  it("looks at everything when it missed more than the server remembers", async () => {
    const relay: MongoRelay = await relayMongo(server.port, () => ({}));
    closers.push(relay.stop);
    const { hints } = await connect(`mongodb://127.0.0.1:${relay.port}/?directConnection=true`);
    await seesById(hints, "before");
    await relay.goAway();
    await fill("missed-", 1_500);
    await relay.comeBack();
    await eventually("the second look", async () => alls(hints) > 1);
    expect(hints.some((hint) => hint.kind === "some" && hint.ids.includes("missed-1499"))).to.equal(false);
    await seesById(hints, "later");
  });
});
