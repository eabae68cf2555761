import { expect } from "chai";
import { BSON, ObjectId } from "mongodb";
import { BOT_IMAGE } from "../../scripts/lib/bot-image.ts";
import { eventually } from "../support/eventually.ts";
import { malformedBots } from "../support/malformed-bots.ts";
import { type Keyed, TestRuntime } from "../support/runtime.ts";

const { EJSON } = BSON;
const sh = (script: string): string[] => ["sh", "-c", script];
const loop = sh("while true; do date; sleep 1; done");
const aBot = (id: string | ObjectId, over: object = {}): Keyed => ({
  _id: id,
  image: BOT_IMAGE,
  command: loop,
  stopGraceSeconds: 1,
  resources: { memory: "32Mi" },
  ...over,
});

describe("system: one runtime on a real engine and a real MongoDB server", function () {
  this.timeout(120_000);
  let runtime: TestRuntime;

  before(function () {
    if (process.env.DOCKER_HOST === undefined || process.env.MONGO_URI === undefined) this.skip();
  });
  beforeEach(() => {
    runtime = new TestRuntime();
  });
  afterEach(() => runtime.dispose());

  it("runs a bot from its document to its deletion", async () => {
    await runtime.start();
    await runtime.bots.insertOne(aBot("ticker", { config: { pair: "BTC-USD" }, env: { MODE: "paper" } }));
    const first = await runtime.until("ticker", "running");
    const [container] = await runtime.containers("ticker");
    expect(container?.State).to.equal("running");
    expect(container?.Id).to.equal(first.container);

    await runtime.bots.updateOne({ _id: "ticker" }, { $set: { env: { MODE: "live" } } });
    const second = await eventually("the changed bot runs anew", async () => {
      const status = await runtime.until("ticker", "running");
      return status.container === first.container ? undefined : status;
    });
    expect(await runtime.containers("ticker")).to.have.lengthOf(1);
    expect(second.restarts).to.equal(0);

    await runtime.bots.updateOne({ _id: "ticker" }, { $set: { enabled: false } });
    await runtime.until("ticker", "stopped");
    expect(await runtime.containers("ticker")).to.have.lengthOf(0);
    await eventually("its segment is inactive", async () => (await segments()).total_segments === 0);

    await runtime.bots.updateOne({ _id: "ticker" }, { $set: { enabled: true } });
    await runtime.until("ticker", "running");
    await runtime.bots.deleteOne({ _id: "ticker" });
    await eventually(
      "nothing of the deleted bot is left",
      async () => (await runtime.containers("ticker")).length === 0 && (await runtime.status("ticker")) === null,
    );
    await eventually("its placement is forgotten", async () => (await runtime.runtimeCollection("placements").countDocuments()) === 0);
    const runs = await runtime.runtimeCollection("runs").find({ bot: "ticker" }).sort({ ended: 1 }).toArray();
    expect(runs.map((r) => [r.startedWhy, r.endedWhy])).to.deep.equal([
      ["new", "outdated"],
      ["changed", "disabled"],
      ["new", "deleted"],
    ]);
    expect(runs[0]?.log).to.match(/UTC/);
    expect(await runtime.stop()).to.equal(0);
  });

  it("gives a bot its id, epoch and config, and the hardening of every container", async () => {
    await runtime.bots.insertOne(
      aBot("reader", {
        command: sh("cat /etc/bot/config.json; echo; env; echo x >> /etc/bot/config.json; sleep 60"),
        config: { a: [1, 2] },
      }),
    );
    await runtime.start();
    const status = await runtime.until("reader", "running");
    let seen = "";
    const hasSpoken = async (): Promise<string | undefined> => {
      const { stdout, stderr } = await runtime.cli(["bots", "logs", "reader"]);
      seen = stdout + stderr;
      return stdout.includes("BOT_ID") && /read-only|denied/i.test(stdout) ? stdout : undefined;
    };
    const log = await eventually("it has spoken", hasSpoken, 20_000, async () => seen);
    expect(log)
      .to.include('{"a":[1,2]}')
      .and.to.include("BOT_ID=reader")
      .and.to.include(`BOT_EPOCH=${status.epoch}`)
      .and.to.include('BOT_CONFIG={"a":[1,2]}');
    const { HostConfig } = await runtime.docker.getContainer(status.container as string).inspect();
    expect(HostConfig).to.deep.include({
      CapDrop: ["ALL"],
      RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
      Privileged: false,
      Memory: 32 * 1024 * 1024,
      NetworkMode: "botrunner",
    });
    expect(HostConfig.SecurityOpt).to.include("no-new-privileges");
  });

  it("backs off from a bot that crashes, and remembers how it ended", async () => {
    await runtime.bots.insertOne(aBot("crasher", { command: sh("echo about to fail; exit 7") }));
    await runtime.start();
    const status = await eventually("it has crashed three times", async () => {
      const now = await runtime.status("crasher");
      return now !== null && now.restarts >= 2 && now.state === "backoff" ? now : undefined;
    });
    expect(status.lastExit).to.deep.include({ code: 7, oom: "no", why: "crashed" });
    expect(status.nextStart).to.be.instanceOf(Date);
    const runs = await eventually("three runs are recorded", async () => {
      const all = await runtime.runtimeCollection("runs").find({ bot: "crasher" }).sort({ ended: 1 }).toArray();
      return all.length >= 3 ? all : undefined;
    });
    expect(runs.slice(0, 3).map((r) => r.log)).to.deep.equal(Array.from({ length: 3 }, () => "about to fail\n"));
    const gaps = runs.slice(1).map((r, i) => (r.started as Date).getTime() - ((runs[i] as Keyed).ended as Date).getTime());
    expect(gaps[0]).to.be.within(700, 30_000);
    expect(gaps[1]).to.be.at.least(1_400);
  });

  it("ends what is meant to end: completed, failed, and never run again", async () => {
    await runtime.bots.insertMany([
      aBot("done", { command: sh("exit 0"), restart: "on-failure" }),
      aBot("broken", { command: sh("exit 3"), restart: "never" }),
    ]);
    await runtime.start();
    expect((await runtime.until("done", "completed")).lastExit.code).to.equal(0);
    expect((await runtime.until("broken", "failed")).lastExit.code).to.equal(3);
    await eventually("their segments are inactive", async () => (await segments()).total_segments === 0);
    expect(await runtime.stop()).to.equal(0);
    await runtime.start();
    await eventually("the fleet was observed again", async () => (await runtime.get("/metrics/segments")).status === 200);
    expect(await runtime.runtimeCollection("runs").countDocuments()).to.equal(2);
    await runtime.bots.updateOne({ _id: "done" }, { $set: { env: { AGAIN: "1" } } });
    await eventually(
      "a changed document runs again",
      async () => (await runtime.runtimeCollection("runs").countDocuments({ bot: "done" })) === 2,
    );
  });

  it("says so when the kernel killed a bot for its memory", async () => {
    await runtime.bots.insertOne(aBot("hungry", { command: sh("x=aaaaaaaaaaaaaaaa; while true; do x=$x$x; done"), restart: "never" }));
    await runtime.start();
    const status = await runtime.until("hungry", "failed");
    expect(status.lastExit.oom).to.equal("oom");
    expect(status.message).to.include("out of memory");
  });

  it("kills a bot that ignores SIGTERM, after its grace", async () => {
    await runtime.bots.insertOne(aBot("deaf", { command: sh("trap '' TERM; while true; do sleep 1; done"), stopGraceSeconds: 2 }));
    await runtime.start();
    await runtime.until("deaf", "running");
    await runtime.bots.updateOne({ _id: "deaf" }, { $set: { enabled: false } });
    const status = await runtime.until("deaf", "stopped");
    expect(status.lastExit).to.deep.include({ code: 137, oom: "no", why: "disabled" });
    expect(await runtime.containers("deaf")).to.have.lengthOf(0);
  });

  it("waits with a reason for an image that cannot be had, and touches no other bot", async () => {
    await runtime.bots.insertMany([aBot("imageless", { image: "localhost:1/no/such-image:9" }), aBot("healthy")]);
    await runtime.start();
    await runtime.until("healthy", "running");
    const status = await runtime.until("imageless", "backoff", 60_000);
    expect(status.message).to.include("localhost:1/no/such-image:9");
    expect(await runtime.containers("imageless")).to.have.lengthOf(0);
  });

  it("reports ten kinds of malformed document at once, and runs the one that is right", async () => {
    await runtime.bots.insertMany([...malformedBots.map((m) => m.document as Keyed), aBot("healthy")]);
    await runtime.start();
    await runtime.until("healthy", "running");
    for (const { why, document, fault } of malformedBots) {
      const _id = typeof document._id === "string" ? document._id : { document: EJSON.stringify(document._id, { relaxed: false }) };
      const status = await eventually(`"${why}" is reported`, async () =>
        runtime.runtimeCollection("status").findOne({ _id, state: "invalid" }),
      );
      expect(status.message, why).to.include(fault);
    }
    expect(await runtime.containers()).to.have.lengthOf(1);
    await eventually("they are counted", async () =>
      (await runtime.get("/metrics")).text.includes(`botrunner_bots{state="invalid"} ${malformedBots.length}`),
    );
  });

  it("runs a bot under an ObjectId by its hex form, and calls its string twin invalid", async () => {
    const id = new ObjectId();
    await runtime.bots.insertOne(aBot(id));
    await runtime.start();
    await runtime.until(id.toHexString(), "running");
    await runtime.bots.insertOne(aBot(id.toHexString()));
    await eventually("the twin is reported", async () =>
      runtime.lines.some((l) => l.message === "Refused document" && JSON.stringify(l).includes("twin")),
    );
    expect(await runtime.containers()).to.have.lengthOf(1);
    expect((await runtime.status(id.toHexString()))?.state).to.equal("running");
  });

  it("killed and started again, takes over its running bots untouched", async () => {
    await runtime.bots.insertMany(["a", "b", "c"].map((id) => aBot(id)));
    await runtime.start();
    for (const id of ["a", "b", "c"]) await runtime.until(id, "running");
    const ids = async (): Promise<string[]> => (await runtime.containers()).map((c) => `${c.Id} ${c.Names[0]} ${c.State}`).toSorted();
    const before = await ids();
    await runtime.kill();
    await runtime.bots.insertOne(aBot("d"));
    await runtime.bots.updateOne({ _id: "c" }, { $set: { enabled: false } });
    await runtime.start();
    await runtime.until("d", "running");
    await runtime.until("c", "stopped");
    const now = await ids();
    expect(now).to.include.members(before.filter((line) => !line.includes("/bot-c ")));
    expect(now).to.have.lengthOf(3);
    expect(await runtime.runtimeCollection("runs").countDocuments({ bot: { $in: ["a", "b"] } })).to.equal(0);
  });

  it("keeps 30 enabled bots among 1,000 disabled ones", async () => {
    const disabled = Array.from({ length: 1_000 }, (_, i) => aBot(`off-${i}`, { enabled: false }));
    const enabled = Array.from({ length: 30 }, (_, i) => aBot(`on-${i}`, { stopGraceSeconds: 0 }));
    await runtime.bots.insertMany([...disabled, ...enabled]);
    await runtime.start();
    await eventually("30 bots run", async () => (await runtime.containers()).filter((c) => c.State === "running").length === 30, 60_000);
    await eventually("all are placed", async () => (await runtime.runtimeCollection("placements").countDocuments()) === 1_030, 60_000);
    expect(await runtime.runtimeCollection("placements").countDocuments({ active: true })).to.equal(30);
    expect(await runtime.stop()).to.equal(0);
    expect(await runtime.containers()).to.have.lengthOf(0);
    expect(
      (
        await runtime
          .runtimeCollection("segments")
          .find({ state: { $ne: "free" } })
          .toArray()
      ).length,
    ).to.equal(0);
  });

  async function segments(): Promise<Record<string, number>> {
    const { text } = await runtime.get("/metrics/segments");
    return JSON.parse(text || "{}") as Record<string, number>;
  }
});
