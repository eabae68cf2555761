import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect } from "chai";
import { openCache, type Place } from "../../scripts/lib/cache.ts";
import { openRun } from "../../scripts/lib/run-dir.ts";
import { startGuardedMongo } from "../../scripts/lib/mongo-users.ts";
import { startPrivateMongo } from "../../scripts/lib/private-mongo.ts";
import { ensurePromtool } from "../../scripts/lib/promtool.ts";
import { eventually } from "../support/eventually.ts";
import { type Keyed, TestRuntime } from "../support/runtime.ts";

const aBot = (id: string): Keyed => ({ _id: id, image: "bot-runner/demo-bot:1", command: ["sleep", "600"], stopGraceSeconds: 0 });

describe("system: the process and what it tells", function () {
  this.timeout(120_000);
  let runtime: TestRuntime;

  before(function () {
    if (process.env.DOCKER_HOST === undefined || process.env.MONGO_URI === undefined) this.skip();
  });
  beforeEach(() => {
    runtime = new TestRuntime();
  });
  afterEach(() => runtime.dispose());

  it("names every fault of its environment at once and exits 78", async () => {
    const faulty = new TestRuntime({ MONGO_URI: "x", MAX_SEGMENT: "0", MIN_REPLICAS: "5", MAX_REPLICAS: "2" });
    const { code, stderr } = await faulty.cli([]);
    await faulty.client.close();
    expect(code).to.equal(78);
    for (const name of ["MONGO_URI", "MAX_SEGMENT", "MIN_REPLICAS", "MAX_REPLICAS"]) expect(stderr).to.include(name);
  });

  it("answers with exactly the five figures, and with metrics that promtool accepts", async () => {
    await runtime.bots.insertMany(["a", "b", "c"].map(aBot));
    await runtime.start();
    for (const id of ["a", "b", "c"]) await runtime.until(id, "running");
    const figures = await eventually("all is assigned", async () => {
      const { status, text } = await runtime.get("/metrics/segments");
      const now = status === 200 ? (JSON.parse(text) as Record<string, number>) : {};
      return (now.assigned_segments ?? 0) > 0 && now.assigned_segments === now.total_segments ? now : undefined;
    });
    expect(Object.keys(figures).toSorted()).to.deep.equal([
      "assigned_segments",
      "available_workers",
      "orphaned_segments",
      "segment_backlog",
      "total_segments",
    ]);
    expect(figures).to.include({ orphaned_segments: 0, available_workers: 1 });
    expect((await runtime.get("/healthz")).status).to.equal(200);

    const { text } = await runtime.get("/metrics");
    expect(text)
      .to.match(/^botrunner_bots\{state="running"\} 3$/m)
      .and.to.match(/^botrunner_leader 1$/m)
      .and.to.match(/^botrunner_store_up\{store="mongodb"\} 1$/m);
    const promtool = await ensurePromtool(await openCache(process.env), () => {});
    const check = promisify(execFile)(promtool, ["check", "metrics"]);
    check.child.stdin?.end(text);
    const { stdout, stderr } = await check;
    expect(stdout + stderr).to.equal("");
    expect(runtime.lines.filter((l) => /error/i.test(JSON.stringify(l)))).to.deep.equal([]);
  });

  it("refuses to start beside a living process, by the lock and by the moving session", async () => {
    await runtime.start();
    const sameState = await runtime.cli([]);
    expect([sameState.code, sameState.stderr]).to.satisfy(([code, text]: [number, string]) => code === 78 && text.includes("STATE_DIR"));
    const env = { ...(await runtime.env()), STATE_DIR: `${(await runtime.env()).STATE_DIR}/other` };
    const other = await promisify(execFile)(process.execPath, ["src/main.ts"], { env }).catch((e: { code: number; stderr: string }) => e);
    expect(other).to.have.property("code", 78);
    expect(other.stderr).to.include("Cannot start beside a living session");
    expect((await runtime.get("/healthz")).status).to.equal(200);
  });

  it("refuses a database of another fleet until the operator vouches for it, and one of a newer schema", async () => {
    await runtime
      .runtimeCollection("control")
      .insertOne({ _id: "fleet", owner: "OTHER-ENGINE", coordination: "single", schema: 1, incarnation: "x" });
    await runtime
      .runtimeCollection("workers")
      .insertOne({ _id: "OTHER-ENGINE", inc: 1, hbSeq: 5, state: "up", proto: 1, capacity: 1, pod: "other", node: "" });
    const refused = await runtime.cli([]);
    expect(refused.code).to.equal(78);
    expect(refused.stderr).to.include("OTHER-ENGINE").and.to.include("runtime fleet adopt --old-fleet-is-stopped");
    expect((await runtime.cli(["fleet", "adopt", "--old-fleet-is-stopped"])).code).to.equal(0);
    await runtime.start();
    expect(await runtime.stop()).to.equal(0);
    await runtime.runtimeCollection("control").updateOne({ _id: "fleet" }, { $set: { schema: 99 } });
    const newer = await runtime.cli([]);
    expect([newer.code, newer.stderr.includes("schema 99")]).to.deep.equal([78, true]);
  });

  it("stops its bots and exits when somebody ended its session", async () => {
    await runtime.bots.insertOne(aBot("orphan"));
    await runtime.start();
    await runtime.until("orphan", "running");
    await runtime.runtimeCollection("workers").updateMany({}, { $set: { state: "dead" } });
    expect(await runtime.ended).to.equal(1);
    expect((await runtime.containers()).filter((c) => c.State === "running")).to.have.lengthOf(0);
    // Its status still says running: who lost the session may not write any more.
    await runtime.start();
    await eventually("the next session runs it", async () => (await runtime.containers()).some((c) => c.State === "running"));
    expect(await runtime.containers()).to.have.lengthOf(1);
  });

  it("ends at once on a second signal; the next start goes on from there", async () => {
    await runtime.bots.insertOne({
      ...aBot("slow"),
      command: ["sh", "-c", "trap '' TERM; while true; do sleep 1; done"],
      stopGraceSeconds: 20,
    });
    await runtime.start();
    await runtime.until("slow", "running");
    process.kill(runtime.pid, "SIGTERM");
    await eventually("the bot is told to stop", async () => (await runtime.status("slow"))?.state === "stopping");
    process.kill(runtime.pid, "SIGTERM");
    const began = performance.now();
    expect(await runtime.ended).to.equal(1);
    expect(performance.now() - began).to.be.below(15_000); // not after the bot's grace
    await runtime.start();
    await runtime.until("slow", "running");
    expect(await runtime.containers("slow")).to.have.lengthOf(1);
    await runtime.bots.updateOne({ _id: "slow" }, { $set: { stopGraceSeconds: 0 } });
    await eventually("the old one is told to stop", async () => (await runtime.status("slow"))?.state === "stopping");
    const [old] = await runtime.containers("slow");
    await runtime.docker.getContainer(old?.Id ?? "").kill(); // its grace is twenty seconds, and nobody need wait for them
    await eventually(
      "it runs under the new document",
      async () => (await runtime.containers("slow"))[0]?.Labels["botrunner.grace"] === "0",
      60_000,
    );
  });
});

describe("system: other MongoDB servers", function () {
  this.timeout(120_000);
  let place: Place & { close(): Promise<void> };
  let runtime: TestRuntime | undefined;
  const closers: (() => Promise<void>)[] = [];

  before(async function () {
    if (process.env.DOCKER_HOST === undefined || process.env.MONGO_URI === undefined) this.skip();
    const run = await openRun();
    place = { runDir: run.dir, cacheDir: await openCache(process.env), say: () => {}, close: run.remove };
  });
  afterEach(async () => {
    await runtime?.dispose();
    for (const close of closers.splice(0).toReversed()) await close();
  });
  after(() => place?.close());

  /** The whole life of a bot, whatever the server can do. */
  async function live(): Promise<void> {
    const mine = runtime as TestRuntime;
    await mine.bots.insertOne(aBot("early"));
    await mine.start();
    await mine.until("early", "running");
    await mine.bots.insertOne(aBot("late"));
    const { container } = await mine.until("late", "running");
    await mine.bots.updateOne({ _id: "late" }, { $set: { env: { CHANGED: "1" } } });
    await eventually("the changed bot runs anew", async () => (await mine.until("late", "running")).container !== container);
    await mine.bots.deleteOne({ _id: "early" });
    await eventually("the deleted bot is gone", async () => (await mine.containers("early")).length === 0);
    expect(await mine.stop()).to.equal(0);
    expect(await mine.containers()).to.have.lengthOf(0);
  }

  it("needs no more than the right to read the user's collection", async () => {
    const server = await startGuardedMongo({ ...place, dbName: "guarded", collection: "bots" });
    closers.push(server.stop);
    runtime = new TestRuntime({ MONGO_URI: server.runtimeUri, DB_NAME: "guarded" }, server.rootUri);
    await live();
    expect(server.refused).to.deep.equal([]);
    // It asked once for the stream of the database, was refused, and went on with one for each collection.
    expect(server.refusedStreams).to.deep.equal(["guarded"]);
    expect(runtime.lines.some((l) => l.message === "Watching changes by polling: slower")).to.equal(false);
  });

  it("does the same by polling where there are no change streams", async () => {
    const server = await startPrivateMongo({ ...place, flags: ["--standalone"] });
    closers.push(server.stop);
    runtime = new TestRuntime({ MONGO_URI: server.uri }, server.uri);
    await live();
    expect(runtime.lines.some((l) => l.message === "Watching changes by polling: slower")).to.equal(true);
  });
});
