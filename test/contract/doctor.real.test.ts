import { expect } from "chai";
import { MongoClient } from "mongodb";
import { openCache, type Place } from "../../scripts/lib/cache.ts";
import { type GuardedMongo, startGuardedMongo } from "../../scripts/lib/mongo-users.ts";
import { startPrivateMongo } from "../../scripts/lib/private-mongo.ts";
import { openRun } from "../../scripts/lib/run-dir.ts";
import { ConfigurationError, EngineUnreachableError } from "../../src/core/errors.ts";
import { openEngineProbe } from "../../src/docker/probe.ts";
import type { Finding } from "../../src/doctor/finding.ts";
import { runChecks } from "../../src/doctor/run-checks.ts";
import { storeChecks } from "../../src/doctor/store-checks.ts";
import { openStoreProbe } from "../../src/mongo/probe.ts";
import { systemClock } from "../../src/process/clock.ts";
import { rejection } from "./engine.suite.ts";

const NAMES = { dbName: "guarded", collectionName: "bots" };
const CHECKS = ["mongodb", "mongodb-bots", "mongodb-runtime", "mongodb-majority", "mongodb-changes"];

describe("runtime doctor on MongoDB", function () {
  this.timeout(60_000);
  let place: Place & { close(): Promise<void> };
  let server: GuardedMongo;
  before(async function () {
    if (process.env.MONGO_URI === undefined) this.skip();
    const run = await openRun();
    place = { runDir: run.dir, cacheDir: await openCache(process.env), say: () => {}, close: run.remove };
    server = await startGuardedMongo({ ...place, dbName: NAMES.dbName, collection: NAMES.collectionName });
    const root = await new MongoClient(server.rootUri).connect();
    const admin = root.db("admin");
    await admin.command({ createUser: "reader", pwd: "read", roles: [{ role: "read", db: NAMES.dbName }] });
    // Where a collection is there already, an update is asked for as well.
    await root.db(NAMES.dbName).collection("runtime.runs").insertOne({ bot: "a" });
    await root.close();
  });
  after(async () => {
    await server?.stop();
    await place?.close();
  });

  async function doctor(uri: string): Promise<Finding[]> {
    const probe = openStoreProbe({ uri, ...NAMES, timeoutMs: 5_000 }, systemClock);
    try {
      return await runChecks(storeChecks(probe, NAMES), { clock: systemClock, limitMs: 10_000 });
    } finally {
      await probe.close();
    }
  }
  const verdicts = (found: readonly Finding[]): string[] => found.map(({ verdict }) => verdict);
  const as = (user: string, password: string): string => server.rootUri.replace(/\/\/[^@]+@/, `//${user}:${password}@`);

  it("finds nothing wrong with the role that the runtime needs, and changes nothing", async () => {
    const root = await new MongoClient(server.rootUri).connect();
    const collections = async () => (await root.db(NAMES.dbName).listCollections().toArray()).map(({ name }) => name);
    const before = await collections();
    const found = await doctor(server.runtimeUri);
    expect(found.map(({ check }) => check)).to.deep.equal(CHECKS);
    expect(verdicts(found), JSON.stringify(found)).to.deep.equal(["ok", "ok", "ok", "ok", "ok"]);
    // Of the whole database this role has no stream.
    expect(found.at(-1)?.what).to.equal("a change stream for each collection");
    expect(await collections()).to.deep.equal(before);
    expect(server.refused, "writes outside runtime.*").to.deep.equal([]);
    await root.close();
  });

  it("says what a user that may only read cannot do", async () => {
    const found = await doctor(as("reader", "read"));
    expect(verdicts(found), JSON.stringify(found)).to.deep.equal(["ok", "ok", "fail", "fail", "ok"]);
    expect(found[2]?.what).to.include("remove runtime.control").and.to.include("update runtime.runs").and.not.to.include("find runtime.");
  });

  it("says that a user cannot come in, and looks no further", async () => {
    const found = await doctor(as("reader", "wrong"));
    expect(verdicts(found), JSON.stringify(found)).to.deep.equal(["fail", "warn", "warn", "warn", "warn"]);
    expect(found[0]?.what).to.include("refuses this user and password").and.not.to.include("wrong");
  });

  it("says what a server that stands alone lacks", async () => {
    const alone = await startPrivateMongo({ ...place, flags: ["--standalone"] });
    try {
      const found = await doctor(alone.uri);
      expect(verdicts(found), JSON.stringify(found)).to.deep.equal(["warn", "ok", "warn", "ok", "warn"]);
      expect(found[2]?.what).to.include("asks for no user");
      expect(found[4]?.what).to.include("polled");
    } finally {
      await alone.stop();
    }
  });

  it("says within its limit that a server does not answer", async () => {
    const began = systemClock.mono();
    const probe = openStoreProbe({ uri: "mongodb://127.0.0.1:1/", ...NAMES, timeoutMs: 400 }, systemClock);
    const found = await runChecks(storeChecks(probe, NAMES), { clock: systemClock, limitMs: 2_000 });
    await probe.close();
    expect(found[0]?.what).to.include("Cannot reach MongoDB").and.to.include("ECONNREFUSED");
    expect(systemClock.mono() - began).to.be.below(2_000);
  });
});

describe("runtime doctor on a Docker Engine", () => {
  it("reads how it works", async function () {
    const dockerHost = process.env.DOCKER_HOST;
    if (dockerHost === undefined) return this.skip();
    const probe = openEngineProbe(dockerHost, systemClock);
    try {
      await probe.ping();
      expect((await probe.version()).apiVersion).to.match(/^1\.\d+$/);
      const info = await probe.info();
      expect(info.storageDriver).to.match(/^[a-z0-9-]+$/);
      expect(info).to.deep.include({ cgroupDriver: "cgroupfs", liveRestore: false });
      expect(["1", "2"]).to.include(info.cgroupVersion);
    } finally {
      probe.close();
    }
  });

  it("says that there is none", async () => {
    const probe = openEngineProbe("unix:///nowhere/docker.sock", systemClock);
    expect(await rejection(probe.ping())).to.be.instanceOf(EngineUnreachableError);
    probe.close();
  });

  it("refuses an address that is none", () => {
    expect(() => openEngineProbe("nowhere", systemClock)).to.throw(ConfigurationError);
  });
});
