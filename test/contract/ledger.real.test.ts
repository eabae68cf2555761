import { randomUUID } from "node:crypto";
import { expect } from "chai";
import * as fc from "fast-check";
import type { Db, Document } from "mongodb";
import { nextTerm, type RecordId } from "../../src/core/operations.ts";
import type { RunRecord } from "../../src/core/records.ts";
import type { UserCollection } from "../../src/mongo/bots.ts";
import { type Connection, connectStore, openClient, type OpenClient } from "../../src/mongo/connect.ts";
import { MongoStore } from "../../src/mongo/store.ts";
import { systemClock } from "../../src/process/clock.ts";
import { applyTo } from "../support/apply-operation.ts";
import { arbDocument, arbOperation } from "../support/arbitrary-operations.ts";
import { eventually } from "../support/eventually.ts";
import { ledgerContract, type Subject } from "./ledger.suite.ts";

const uri = process.env["MONGO_URI"];

/** Sockets this process holds: what a closed connection leaves behind would show here. */
const sockets = (): number => process.getActiveResourcesInfo().filter((kind) => kind === "TCPSocketWrap").length;

(uri === undefined ? describe.skip : describe)("Ledger contract: a real MongoDB", function () {
  this.timeout(60_000);
  const dbName = `contract-${randomUUID()}`;
  /** Cursors of `watched` that the server holds open. */
  const open = new Set<string>();
  let held: number;
  let connection: Connection;
  /** The product's own kind of client, watched on the wire; it plays the user, too. */
  let watched: OpenClient;
  let db: Db;

  before(async () => {
    held = sockets();
    const options = { clock: systemClock, random: Math.random };
    connection = await connectStore({ uri: String(uri), dbName, collectionName: "bots", ...options });
    await connection.ensureIndexes();
    watched = await openClient({ uri: withOption(String(uri), "monitorCommands=true"), dbName, collectionName: "bots" });
    watched.client.on("commandSucceeded", ({ commandName, reply }) => noteCursors(open, commandName, reply as CursorReply));
    db = watched.client.db(dbName);
  });

  beforeEach(async () => {
    // The indexes of runtime.* stay; the user's collection begins by not being there at all.
    for (const { name } of await db.listCollections({}, { nameOnly: true }).toArray())
      await (name === "bots" ? db.dropCollection(name) : db.collection(name).deleteMany({}));
    open.clear();
  });

  after(async () => {
    await db.dropDatabase();
    await Promise.all([watched.client.close(), connection.close()]);
    await eventually("all sockets are closed", async () => sockets() <= held);
  });

  const of = (name: string) => db.collection<Document & { _id: RecordId }>(`runtime.${name}`);
  const bots = (): UserCollection => db.collection("bots");
  const subjectOf = (store: () => MongoStore) => (): Subject => ({
    store: store(),
    putBots: async (documents) => void (await bots().insertMany([...documents])),
    put: async (collection, record) => void (await of(collection).insertOne(record as never)),
    get: async (collection, id) => (await of(collection).findOne({ _id: id })) ?? undefined,
    runs: () => db.collection<RunRecord>("runtime.runs").find({}).toArray(),
    fleetView: () => of("fleet").findOne({ _id: "fleet" }),
    openStreams: async () => open.size,
  });

  ledgerContract(subjectOf(() => new MongoStore(db, bots(), watched.guard)));

  it("makes its indexes twice", async () => {
    await connection.ensureIndexes();
    const keys = (await db.collection("runtime.placements").indexes()).map(({ key }) => key as unknown);
    expect(keys).to.deep.include({ active: 1, segment: 1 });
  });

  it("works as the product connects", async () => {
    expect(await connection.store.insert("control", { _id: "leader", term: 1 })).to.equal("inserted");
    expect(await connection.store.apply(nextTerm(1))).to.equal("won");
  });

  it("agrees with the model on any document and operation", async () => {
    const { store } = connection;
    await fc.assert(
      fc.asyncProperty(arbDocument, arbOperation, async (document, operation) => {
        await of("status").deleteMany({});
        if (document !== undefined) await of("status").insertOne(document as never);
        const model = applyTo(document, operation);
        expect(await store.apply(operation)).to.equal(model.outcome);
        expect((await of("status").findOne({ _id: operation.id })) ?? undefined).to.deep.equal(model.document);
      }),
      { numRuns: 300 },
    );
  });
});

function withOption(uri: string, option: string): string {
  if (uri.includes("?")) return `${uri}&${option}`;
  return /^[^:]+:\/\/[^/]+$/.test(uri) ? `${uri}/?${option}` : `${uri}?${option}`;
}

type CursorReply = { readonly cursor?: { readonly id: unknown }; readonly cursorsKilled?: readonly unknown[] };

/** Opened by a `find` with more to come; ended by its last batch or killed. One at a time in these tests. */
function noteCursors(open: Set<string>, command: string, { cursor, cursorsKilled = [] }: CursorReply): void {
  const id = String(cursor?.id);
  if (command === "find" && id !== "0") open.add(id);
  if (command === "getMore" && id === "0") open.clear();
  for (const killed of cursorsKilled) open.delete(String(killed));
}
