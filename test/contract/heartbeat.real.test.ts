import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { MongoClient } from "mongodb";
import type { WorkerRecord } from "../../src/core/records.ts";
import { openSession } from "../../src/core/session.ts";
import { KUBERNETES_TIMINGS } from "../../src/core/timings.ts";
import { systemClock } from "../../src/process/clock.ts";
import { FenceFile } from "../../src/process/fence-file.ts";
import { beginHeartbeat } from "../../src/serve/begin-heartbeat.ts";
import type { FromHeartbeat } from "../../src/worker/heartbeat.ts";
import { aWorker, sid } from "../support/builders.ts";
import { eventually } from "../support/eventually.ts";

/** Keeps this thread as busy as a garbage collection that does not end, for so long. */
function block(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

describe("serve/heartbeat-thread: a real thread and a real store", () => {
  const uri = process.env.MONGO_URI ?? "";
  const dbName = `br_${randomBytes(5).toString("hex")}`;
  let client: MongoClient;
  let dir: string;
  let heartbeat: ReturnType<typeof beginHeartbeat>;
  let heard: FromHeartbeat[];
  const record = async (): Promise<WorkerRecord> => {
    const found = await client.db(dbName).collection<{ _id: string }>("runtime.workers").findOne({ _id: "a" });
    return found as unknown as WorkerRecord;
  };

  before(async function () {
    if (uri === "") return this.skip();
    client = await MongoClient.connect(uri);
  });
  beforeEach(async () => {
    dir = await mkdtemp("/tmp/br-beat-");
    heard = [];
    await client
      .db(dbName)
      .collection<{ _id: string }>("runtime.workers")
      .replaceOne({ _id: "a" }, { ...aWorker("a", { inc: 1 }) }, { upsert: true });
    const session = openSession(sid("a"), 1, systemClock.mono());
    const mongo = { uri, dbName, collectionName: "bots" };
    // On a shared machine a call of 0.8 s may be late: it is not what is tried here.
    heartbeat = beginHeartbeat({ session, timings: { ...KUBERNETES_TIMINGS, callMs: 5_000 }, mongo, fenceDir: dir });
    heartbeat.pulse.beat(systemClock.mono());
    heartbeat.thread.on("message", (message: FromHeartbeat) => heard.push(message));
  });
  afterEach(async () => {
    await heartbeat.thread.terminate();
    await rm(dir, { recursive: true });
  });
  after(async () => {
    await client?.db(dbName).dropDatabase();
    await client?.close();
  });

  it("renews while the main thread is blocked, and the fence hears of it", async function () {
    this.timeout(30_000);
    await eventually("it has renewed", async () => (await record()).hbSeq > 0);
    const [before, deadline] = [(await record()).hbSeq, await readFile(join(dir, "deadline"), "latin1")];
    block(3_000);
    expect((await record()).hbSeq).to.be.above(before + 1);
    expect(await readFile(join(dir, "deadline"), "latin1")).to.not.equal(deadline);
  });

  it("says so when it was told that the worker drains, and when the session was ended", async function () {
    this.timeout(30_000);
    heartbeat.thread.postMessage({ kind: "drain" });
    await eventually("it drains", async () => (await record()).state === "draining");
    await client
      .db(dbName)
      .collection<{ _id: string }>("runtime.workers")
      .updateOne({ _id: "a" }, { $set: { state: "dead" } });
    await eventually("it is lost", async () => heard.at(-1)?.session.lost === "ended");
  });

  it("has everything behind the fence killed when it is asked to, and lets the engine up once the fence says that nothing runs", async function () {
    this.timeout(30_000);
    const fence = new FenceFile(dir);
    const deadlineLeft = async (): Promise<number> => {
      const [deadline = 0, reading = 0] = (await readFile(join(dir, "deadline"), "latin1").catch(() => "")).split(" ").map(Number);
      return deadline - reading;
    };
    const says = (state: string): Promise<void> =>
      writeFile(join(dir, "tick"), `${Math.floor(systemClock.mono() / 10)} ${fence.bootId} ${state} 0\n`);
    await says("up");
    await eventually("it has renewed", async () => (await deadlineLeft()) > 0);
    heartbeat.thread.postMessage({ kind: "restart-engine" });
    await eventually("the deadline has lapsed", async () => (await deadlineLeft()) <= 0);
    const { hbSeq } = await record();
    await says("killing");
    await eventually("it goes on renewing", async () => (await record()).hbSeq >= hbSeq + 2);
    expect(await deadlineLeft()).to.be.at.most(0);
    await says("down");
    await eventually("bots may run again", async () => (await deadlineLeft()) > 0);
    await eventually("it says so", async () => heard.some(({ restartMs }) => restartMs !== undefined));
  });

  it("renews nothing once it was ended", async function () {
    this.timeout(30_000);
    await eventually("it has renewed", async () => (await record()).hbSeq > 0);
    await heartbeat.thread.terminate();
    const { hbSeq } = await record();
    // Nothing tells of what does not happen: two renewals' time has to pass.
    await systemClock.sleep(2_500, new AbortController().signal);
    expect((await record()).hbSeq).to.be.at.most(hbSeq + 1); // one may have been on its way
  });
});
