import { randomBytes } from "node:crypto";
import { expect } from "chai";
import { type Document, MongoClient } from "mongodb";
import { guardMongo } from "../../scripts/lib/mongo-guard.ts";
import { openCache } from "../../scripts/lib/cache.ts";
import { type PrivateMongo, startPrivateMongo } from "../../scripts/lib/private-mongo.ts";
import { openRun, type Run } from "../../scripts/lib/run-dir.ts";
import type { Hint, Watched } from "../../src/core/ledger.ts";
import { type Connection, connectStore } from "../../src/mongo/connect.ts";
import type { FeedOptions } from "../../src/mongo/feed.ts";
import { systemClock } from "../../src/process/clock.ts";
import { aSegment } from "../support/builders.ts";
import { eventually } from "../support/eventually.ts";

type Keyed = Document & { _id: unknown };
const dbName = `br_feed_${randomBytes(5).toString("hex")}`;

/** A watch under test: what it hinted and how it sees changes. */
class Watching {
  readonly hints: Hint[] = [];
  readonly modes: string[] = [];
  readonly #end = new AbortController();
  #connection: Connection | undefined;
  #ended: Promise<void> = Promise.resolve();

  static async start(uri: string, over: Partial<FeedOptions> = {}, what: Watched = "bots"): Promise<Watching> {
    const self = new Watching();
    const onMode = (mode: string): unknown => self.modes.push(mode);
    const adapters = { clock: systemClock, random: () => 0, resyncMs: 60_000, pollMs: 60_000, onMode };
    self.#connection = await connectStore({ uri, dbName, collectionName: "bots", ...adapters, ...over });
    self.#ended = self.#connection.feed.watch(what, (hint) => self.hints.push(hint), self.#end.signal);
    await self.sees("the first look", () => self.alls > 0);
    return self;
  }

  get alls(): number {
    return this.hints.filter(({ kind }) => kind === "all").length;
  }

  get ids(): string[] {
    return this.hints.flatMap((hint) => (hint.kind === "some" ? hint.ids : []));
  }

  async sees(what: string, test: () => boolean): Promise<void> {
    await eventually(
      what,
      async () => test(),
      15_000,
      async () => JSON.stringify(this.hints),
    );
  }

  /** Ends the watch; gives the ms it took. */
  async end(): Promise<number> {
    const began = performance.now();
    this.#end.abort();
    await this.#ended;
    const tookMs = performance.now() - began;
    await this.#connection?.close();
    return tookMs;
  }
}

/** Faults need a server that nobody else uses; it is started only where the suite has one at all. */
describe("Change feed: faults", function () {
  this.timeout(30_000);
  let run: Run;
  let server: PrivateMongo;
  let user: MongoClient;
  let watching: Watching | undefined;
  const fail = (mode: "alwaysOn" | "off" | { readonly times: number }, data: object = {}): Promise<unknown> =>
    user.db("admin").command({ configureFailPoint: "failCommand", mode, data });

  before(async function () {
    this.timeout(120_000); // the server comes from PyPI where it is not in the cache
    if (!process.env.MONGO_URI) return this.skip();
    run = await openRun();
    const place = { runDir: run.dir, cacheDir: await openCache(process.env), say: () => {} };
    server = await startPrivateMongo({ ...place, flags: ["--enable-test-commands"] });
    user = new MongoClient(server.uri);
  });
  afterEach(async () => {
    await watching?.end();
    watching = undefined;
    await fail("off");
    await user.db(dbName).dropDatabase();
  });
  after(async () => {
    await user?.close();
    await server?.stop();
    await run?.remove();
  });

  for (const { why, data } of [
    { why: "lost its history", data: { errorCode: 286 } },
    { why: "lost its connection", data: { closeConnection: true } },
    { why: "met an error that nobody knows", data: { errorCode: 1 } },
  ]) {
    it(`goes on after the stream ${why}`, async () => {
      const mine = (watching = await Watching.start(server.uri));
      await fail({ times: 1 }, { failCommands: ["getMore"], ...data });
      // Seen by its id where the driver resumes, else by the full look of a new stream.
      await insert(user, "bots", { _id: "a" });
      await mine.sees("the bot", () => mine.ids.includes("a") || mine.alls > 1);
      await insert(user, "bots", { _id: "b" });
      await mine.sees("the next bot", () => mine.ids.includes("b") || mine.alls > 1);
      await fail("off");
      await eventually("it sees changes by their ids again", async () => {
        await user
          .db(dbName)
          .collection<Keyed>("bots")
          .updateOne({ _id: "c" } as object, { $inc: { n: 1 } }, { upsert: true });
        return mine.ids.includes("c");
      });
      expect(mine.modes).to.deep.equal(["stream"]);
    });
  }

  it("polls where the user may not watch, and streams once he may", async () => {
    await fail("alwaysOn", { failCommands: ["aggregate"], errorCode: 13 });
    const mine = (watching = await Watching.start(server.uri, { pollMs: 20, resyncMs: 60 }));
    await mine.sees("ten looks", () => mine.alls >= 10);
    expect(mine.modes).to.deep.equal(["poll"]);
    await fail("off");
    await mine.sees("the stream", () => mine.modes.length > 1);
    expect(mine.modes).to.deep.equal(["poll", "stream"]);
  });

  it("gives each collection a stream where the user may not watch the database", async () => {
    const guard = await guardMongo(server.port, (_action, _db, collection) => collection !== "");
    try {
      const mine = (watching = await Watching.start(`mongodb://127.0.0.1:${guard.port}/?directConnection=true`));
      await insert(user, "bots", { _id: "a" });
      await mine.sees("the bot", () => mine.ids.includes("a"));
      expect(mine.modes).to.deep.equal(["stream"]);
      expect(guard.refusedStreams).to.deep.equal([dbName]);
      await mine.end();
      watching = undefined;
    } finally {
      await guard.stop();
    }
  });

  it("looks at everything by the clock while streams break as they open", async () => {
    await fail("alwaysOn", { failCommands: ["aggregate"], errorCode: 286 });
    const mine = (watching = await Watching.start(server.uri, { pollMs: 100 }));
    await mine.sees("three looks", () => mine.alls >= 3);
    expect(mine.modes).to.deep.equal([]);
  });

  it("names segments by their numbers, and ends at once though the server keeps a quiet stream's request", async () => {
    const mine = (watching = await Watching.start(server.uri, {}, "segments"));
    await insert(user, "runtime.segments", aSegment(3));
    await mine.sees("segment 3", () => mine.ids.includes("3"));
    expect(await mine.end()).to.be.lessThan(1_000);
  });

  it("polls where it is told to", async () => {
    const mine = (watching = await Watching.start(server.uri, { streams: false, pollMs: 20 }));
    await mine.sees("three looks", () => mine.alls >= 3);
    expect(mine.modes).to.deep.equal(["poll"]);
  });
});

const insert = (user: MongoClient, name: string, document: Keyed): Promise<unknown> =>
  user.db(dbName).collection<Keyed>(name).insertOne(document);
