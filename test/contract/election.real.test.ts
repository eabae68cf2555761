import { randomUUID } from "node:crypto";
import { type OpenClient, openClient } from "../../src/mongo/connect.ts";
import { MongoElection } from "../../src/mongo/election.ts";
import { electionContract } from "./election.suite.ts";

const uri = process.env["MONGO_URI"];

(uri === undefined ? describe.skip : describe)("Election contract: a real MongoDB", () => {
  let opened: OpenClient;
  const db = () => opened.client.db(dbName);
  const dbName = `election-${randomUUID()}`;

  before(async () => {
    opened = await openClient({ uri: String(uri), dbName, collectionName: "bots" });
  });
  beforeEach(() => db().collection("runtime.control").deleteMany({}));
  after(async () => {
    await db().dropDatabase();
    await opened.client.close();
  });

  electionContract(() => new MongoElection(db(), 1_500));
});
