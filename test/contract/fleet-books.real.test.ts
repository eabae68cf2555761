import { randomBytes } from "node:crypto";
import { expect } from "chai";
import { MongoClient } from "mongodb";
import type { FleetBooks } from "../../src/cli/ports.ts";
import { type Connection, connectStore } from "../../src/mongo/connect.ts";
import { openFleetBooks } from "../../src/mongo/fleet-books.ts";
import { systemClock } from "../../src/process/clock.ts";
import { aFleetView, aSegment, aWorker, segment, sid } from "../support/builders.ts";
import type { Keyed } from "../support/runtime.ts";

const uri = process.env.MONGO_URI ?? "";
const options = { uri, dbName: `br_books_${randomBytes(5).toString("hex")}`, collectionName: "bots" };

describe("the fleet's books in MongoDB", () => {
  let client: MongoClient;
  let connection: Connection;
  let books: FleetBooks;
  const put = (name: string, ...records: readonly object[]) =>
    client
      .db(options.dbName)
      .collection<Keyed>(`runtime.${name}`)
      .insertMany(records.map((record) => ({ ...record }) as Keyed));
  before(async function () {
    if (uri === "") return this.skip();
    client = await new MongoClient(uri).connect();
    connection = await connectStore({ ...options, clock: systemClock, random: Math.random });
    books = await openFleetBooks(options);
  });
  afterEach(async () => {
    await client.db(options.dbName).dropDatabase();
  });
  after(async () => {
    await books?.close();
    await connection?.close();
    await client?.close();
  });

  it("finds nothing in an empty database, and writes nothing there", async () => {
    expect(await books.look()).to.deep.equal({
      fleet: undefined,
      term: undefined,
      active: [],
      segments: [],
      workers: [],
      view: undefined,
      election: undefined,
    });
    expect(await books.askToDrain(sid("a"))).to.equal("ended");
    expect(await books.workers()).to.deep.equal([]);
  });

  it("reads what the runtime has written", async () => {
    const fleet = { _id: "fleet", owner: "local/runtime", coordination: "mongo", schema: 1, incarnation: "i" };
    const workers = [aWorker("a", { opened: new Date(1_000), drain: true }), aWorker("b", { state: "dead" })];
    const segments = [aSegment(1, { state: "assigned", owner: sid("a") }), aSegment(2, { target: sid("a") })];
    await put("control", fleet, { _id: "leader", term: 7 });
    await put("workers", ...workers);
    await put("segments", ...segments);
    await put("placements", { _id: "x", segment: 1, active: true, done: null }, { _id: "y", segment: 3, active: false, done: null });
    await connection.store.publishFleet(aFleetView({ seq: 4 }));
    const election = await connection.election(1_000).write({ holder: sid("a"), leaseMs: 8_000, changes: 1 }, undefined);
    expect(await books.look()).to.deep.equal({
      fleet,
      term: 7,
      active: [1],
      segments,
      workers,
      view: aFleetView({ seq: 4 }),
      election,
    });
    expect(await books.ownedBy(sid("a"))).to.deep.equal([segment(1)]);
  });

  it("sees the lease of leadership move", async () => {
    const lease = connection.election(1_000);
    await lease.write({ holder: sid("a"), leaseMs: 8_000, changes: 1 }, undefined);
    const [first, second] = [await books.signs(), await books.signs()];
    expect(second.election).to.deep.equal(first.election);
    await lease.write({ holder: sid("a"), leaseMs: 8_000, changes: 1 }, first.election?.version);
    expect((await books.signs()).election?.version).not.to.equal(first.election?.version);
  });

  it("asks the living to drain, again and again, and touches nobody who has ended", async () => {
    await put("workers", aWorker("a"), aWorker("b", { state: "draining" }), aWorker("c", { state: "gone" }));
    for (const id of ["a", "a", "b"]) expect(await books.askToDrain(sid(id))).to.equal("asked");
    expect(await books.askToDrain(sid("c"))).to.equal("ended");
    expect(await books.workers()).to.deep.equal([
      aWorker("a", { drain: true }),
      aWorker("b", { state: "draining", drain: true }),
      aWorker("c", { state: "gone" }),
    ]);
  });
});
