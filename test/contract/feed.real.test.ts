import { randomUUID } from "node:crypto";
import { expect } from "chai";
import { type Collection, type Document, MongoClient, ObjectId } from "mongodb";
import { openCache } from "../../scripts/lib/cache.ts";
import { type PrivateMongo, startPrivateMongo } from "../../scripts/lib/private-mongo.ts";
import { openRun, type Run } from "../../scripts/lib/run-dir.ts";
import type { Hint, Watched } from "../../src/core/ledger.ts";
import { connectStore } from "../../src/mongo/connect.ts";
import type { FeedOptions } from "../../src/mongo/feed.ts";
import { systemClock } from "../../src/process/clock.ts";
import { eventually } from "../support/eventually.ts";

type Keyed = Document & { _id: string };
const named = process.env["MONGO_URI"];

const sockets = (): number => process.getActiveResourcesInfo().filter((kind) => kind === "TCPSocketWrap").length;

/** A user's collection with the feed on it: what the user does is one side, the hints are the other. */
async function openFeed(uri: string, over: Partial<FeedOptions> = {}, what: Watched = "bots", collectionName = "bots") {
  const dbName = `feed-${randomUUID()}`;
  const hints: Hint[] = [];
  const modes: string[] = [];
  const onMode = (mode: string): number => modes.push(mode);
  const options = { clock: systemClock, random: Math.random, onMode, ...over };
  const connection = await connectStore({ uri, dbName, collectionName, ...options });
  const user = await new MongoClient(uri).connect();
  const db = user.db(dbName);
  const bots: Collection<Document & { _id: unknown }> = db.collection(what === "bots" ? collectionName : `runtime.${what}`);
  const end = new AbortController();
  const watching = connection.feed.watch(what, (hint) => hints.push(hint), end.signal);
  const others: Promise<void>[] = [];
  /** Another listener of the same process. */
  const listen = (other: Watched): Hint[] => {
    const heard: Hint[] = [];
    others.push(connection.feed.watch(other, (hint) => heard.push(hint), end.signal));
    return heard;
  };
  const close = async (): Promise<void> => {
    end.abort();
    await Promise.all([watching, ...others]);
    await db.dropDatabase();
    await Promise.all([user.close(), connection.close()]);
  };
  return { hints, modes, bots, db, end, watching, listen, [Symbol.asyncDispose]: close };
}

/** Hints since the last one of its kind was taken, once `count` of them were given. */
const given = async (hints: Hint[], test: (hint: Hint) => boolean, count = 1): Promise<Hint[]> => {
  const found = () => hints.filter(test);
  await eventually(
    `${count} hints`,
    async () => found().length >= count,
    10_000,
    async () => JSON.stringify(hints),
  );
  return found();
};
const isAll = (hint: Hint): boolean => hint.kind === "all";
const names = (id: string) => (hint: Hint) => hint.kind === "some" && hint.ids.includes(id);

(named === undefined ? describe.skip : describe)("ChangeFeed: a real MongoDB", function () {
  this.timeout(60_000);
  const uri = String(named);
  let held: number;
  beforeEach(() => {
    held = sockets();
  });
  afterEach(() => eventually("all sockets are closed", async () => sockets() <= held));

  it("hints at everything first, then at each insert, update and delete", async () => {
    await using feed = await openFeed(uri);
    await given(feed.hints, isAll);
    expect([feed.hints, feed.modes]).to.deep.equal([[{ kind: "all" }], ["stream"]]);
    const twin = new ObjectId();
    await feed.bots.insertOne({ _id: "a" });
    await feed.bots.insertOne({ _id: twin });
    await given(feed.hints, names("a"));
    await given(feed.hints, names(twin.toHexString()));
    await feed.bots.updateOne({ _id: "a" } as object, { $set: { enabled: false } });
    await given(feed.hints, names("a"), 2);
    await feed.bots.deleteOne({ _id: "a" } as object);
    await given(feed.hints, names("a"), 3);
    expect(feed.hints.filter((hint) => hint.kind !== "some")).to.deep.equal([{ kind: "all" }]);
  });

  it("hints at everything as soon as the stream is open, though the server keeps its first request", async () => {
    await using feed = await openFeed(uri, { awaitMs: 60_000, pollMs: 60_000 });
    await given(feed.hints, isAll);
    expect(feed.modes).to.deep.equal(["stream"]);
  });

  for (const { why, _id } of [
    { why: "a number", _id: 5 },
    { why: "an empty string", _id: "" },
    { why: "a name that is too long", _id: "x".repeat(201) },
    { why: "an object", _id: { a: 1 } },
  ]) {
    it(`calls unusable what names no bot: ${why}`, async () => {
      await using feed = await openFeed(uri);
      await given(feed.hints, isAll);
      await feed.bots.insertOne({ _id });
      await given(feed.hints, ({ kind }) => kind === "unusable");
      expect(feed.hints.some(({ kind }) => kind === "some")).to.equal(false);
    });
  }

  it("gathers a burst, and calls more than 1,000 ids everything", async () => {
    await using feed = await openFeed(uri);
    await given(feed.hints, isAll);
    await feed.bots.insertMany(Array.from({ length: 100 }, (_, n) => ({ _id: `few-${n}` })));
    await given(feed.hints, names("few-99"));
    expect(feed.hints.length).to.be.below(50);
    await feed.bots.insertMany(Array.from({ length: 5_000 }, (_, n) => ({ _id: `many-${n}` })));
    await eventually("all of them are covered", async () => {
      const last = feed.hints.findLastIndex(names("many-4999"));
      return last >= 0 || feed.hints.filter(isAll).length > 1;
    });
    for (const hint of feed.hints) if (hint.kind === "some") expect(hint.ids.length).to.be.at.most(1_000);
  });

  for (const { why, what, end } of [
    { why: "the user's collection was dropped", what: "bots", end: ({ bots }) => bots.drop() },
    { why: "the user's collection was renamed", what: "bots", end: ({ bots }) => bots.rename("kept") },
    { why: "the placements were dropped", what: "placements", end: ({ bots }) => bots.drop() },
    { why: "the database was dropped", what: "bots", end: ({ db }) => db.dropDatabase() },
  ] satisfies { why: string; what: Watched; end: (feed: Awaited<ReturnType<typeof openFeed>>) => Promise<unknown> }[]) {
    it(`goes on after ${why}, and looks at everything`, async () => {
      await using feed = await openFeed(uri, {}, what);
      await given(feed.hints, isAll);
      await feed.bots.insertOne({ _id: "a" });
      await given(feed.hints, names("a"));
      await end(feed);
      await given(feed.hints, isAll, 2);
      await eventually("it sees changes again", async () => {
        await feed.db
          .collection<Keyed>(what === "bots" ? what : `runtime.${what}`)
          .updateOne({ _id: "b" }, { $inc: { n: 1 } }, { upsert: true });
        return feed.hints.some(names("b"));
      });
    });
  }

  it("goes on with the other kinds when one collection is dropped, and looks at all when the database is", async () => {
    await using feed = await openFeed(uri);
    const segments = feed.listen("segments");
    await given(feed.hints, isAll);
    await given(segments, isAll);
    await feed.bots.insertOne({ _id: "a" });
    await feed.bots.drop();
    await given(feed.hints, isAll, 2);
    await feed.db.collection<Document & { _id: number }>("runtime.segments").insertOne({ _id: 7 });
    await given(segments, names("7"));
    expect(segments.filter(isAll)).to.have.lengthOf(1); // the same stream: nothing was missed
    await feed.db.dropDatabase();
    await given(segments, isAll, 2);
    await given(feed.hints, isAll, 3);
  });

  it("looks at everything when another collection takes the name", async () => {
    await using feed = await openFeed(uri);
    await given(feed.hints, isAll);
    await feed.db.collection<Keyed>("restored").insertOne({ _id: "old" });
    await feed.db.collection("restored").rename("bots");
    await given(feed.hints, isAll, 2);
    await feed.bots.insertOne({ _id: "b" });
    await given(feed.hints, names("b"));
    expect(feed.hints.some(names("old"))).to.equal(false);
  });

  it("hears of the user's collection by its own name, and nothing of others in the same database", async () => {
    await using feed = await openFeed(uri, {}, "bots", "team.robots");
    const placements = feed.listen("placements");
    await given(feed.hints, isAll);
    await given(placements, isAll);
    for (const other of ["bots", "team.robots.old", "team", "runtime.status", "runtime.runs", "runtime.workers", "runtime.placements.old"])
      await feed.db.collection<Keyed>(other).insertOne({ _id: `of ${other}` });
    await feed.db.collection("bots").drop();
    await feed.bots.insertOne({ _id: "mine" });
    await feed.db.collection<Keyed>("runtime.placements").insertOne({ _id: "placed" });
    await given(feed.hints, names("mine"));
    await given(placements, names("placed"));
    expect([feed.hints, placements]).to.deep.equal([
      [{ kind: "all" }, { kind: "some", ids: ["mine"] }],
      [{ kind: "all" }, { kind: "some", ids: ["placed"] }],
    ]);
  });

  it("looks at everything again by its clock", async () => {
    await using feed = await openFeed(uri, { resyncMs: 50 });
    await given(feed.hints, isAll, 3);
  });

  it("watches placements under their own name", async () => {
    await using feed = await openFeed(uri, {}, "placements");
    await given(feed.hints, isAll);
    await feed.bots.insertOne({ _id: "p" });
    await given(feed.hints, names("p"));
  });

  it("says nothing of a placement that is inserted as inactive, and all of what becomes of it", async () => {
    await using feed = await openFeed(uri, {}, "placements");
    await given(feed.hints, isAll);
    await feed.bots.insertMany([
      { _id: "idle", active: false },
      { _id: "busy", active: true },
    ]);
    await given(feed.hints, names("busy"));
    expect(feed.hints.some(names("idle"))).to.equal(false);
    await feed.bots.updateOne({ _id: "idle" } as object, { $set: { active: true } });
    await given(feed.hints, names("idle"));
    await feed.bots.updateOne({ _id: "idle" } as object, { $set: { active: false } });
    await given(feed.hints, names("idle"), 2);
    await feed.bots.deleteOne({ _id: "idle" } as object);
    await given(feed.hints, names("idle"), 3);
  });

  it("returns when told to, at once if it was told before", async () => {
    await using feed = await openFeed(uri);
    await given(feed.hints, isAll);
    feed.end.abort();
    await feed.watching;
    const { length } = feed.hints;
    await feed.bots.insertOne({ _id: "late" });
    expect(feed.hints).to.have.lengthOf(length);
  });
});

// A server that stands alone has no change streams. Its own server is started only where the suite has one at all.
(named === undefined ? describe.skip : describe)("ChangeFeed: a MongoDB without change streams", function () {
  this.timeout(120_000);
  let run: Run;
  let alone: PrivateMongo;
  before(async () => {
    run = await openRun();
    const place = { runDir: run.dir, cacheDir: await openCache(process.env), say: () => {} };
    alone = await startPrivateMongo({ ...place, flags: ["--standalone"] });
  });
  after(async () => {
    await alone.stop();
    await run.remove();
  });

  it("looks at everything at each poll, and says once that it polls", async () => {
    await using feed = await openFeed(alone.uri, { pollMs: 20 });
    await given(feed.hints, isAll, 5);
    expect(feed.hints.every(isAll)).to.equal(true);
    expect(feed.modes).to.deep.equal(["poll"]);
  });

  it("asks for change streams again after the resync, without a second word", async () => {
    await using feed = await openFeed(alone.uri, { pollMs: 10, resyncMs: 40 });
    await given(feed.hints, isAll, 15);
    expect(feed.modes).to.deep.equal(["poll"]);
  });
});
