import { expect } from "chai";
import { containerName } from "../../../src/core/ids.ts";
import { systemClock } from "../../../src/process/clock.ts";
import { writeLabels } from "../../../src/docker/labels.ts";
import { anOrder, bot } from "../../support/builders.ts";
import type { Box, FakeDaemon, Fault } from "../../support/fake-daemon.ts";
import { CREATE, fakeWorld, START } from "../../support/fake-world.ts";
import { aDocument, placeOf } from "../../support/fleet.ts";

const IMAGE = "bot-runner/demo-bot:1";

describe("a worker on a daemon with faults", function () {
  this.timeout(60_000);

  for (const { why, of, fault, starts } of [
    { why: "the reply of a create is lost", of: CREATE, fault: { kind: "hang-up", acts: true }, starts: 1 },
    { why: "a create times out, and landed", of: CREATE, fault: { kind: "hang", acts: true }, starts: 1 },
    { why: "a create times out, and did nothing", of: CREATE, fault: { kind: "hang", acts: false }, starts: 1 },
    { why: "the daemon dies in the reply of a create", of: CREATE, fault: { kind: "break-body", acts: true }, starts: 1 },
    { why: "the reply of a start is lost", of: START, fault: { kind: "hang-up", acts: true }, starts: 1 },
    { why: "a start times out, and landed", of: START, fault: { kind: "hang", acts: true }, starts: 1 },
    { why: "the daemon dies in an inspect", of: /GET .*bot-a\/json$/, fault: { kind: "break-body", acts: true }, starts: 1 },
    { why: "the daemon dies in a list", of: /GET \/containers\/json/, fault: { kind: "break-body", acts: true }, starts: 1 },
    { why: "the disk is full", of: CREATE, fault: { kind: "refuse", status: 500, message: "mkdir x: no space left on device" }, starts: 1 },
    { why: "a list is refused", of: /GET \/containers\/json/, fault: { kind: "refuse", status: 500, message: "oh" }, starts: 1 },
  ] as readonly { why: string; of: RegExp; fault: Fault; starts: number }[]) {
    it(`runs the bot once: ${why}`, async () => {
      await using w = await fakeWorld();
      w.daemon.fail(of, fault);
      const life = await w.fleet.start(aDocument("a"));
      await w.untilRuns("a");
      expect([w.daemon.started.length, w.daemon.boxes.size, life.fault]).to.deep.equal([starts, 1, undefined]);
    });
  }

  it("says why a full disk keeps the bot from starting, and waits longer each time", async () => {
    await using w = await fakeWorld();
    const retries: (number | undefined)[] = [];
    w.fleet.bus.on("bot:start-failed", ({ retryMs }) => retries.push(retryMs));
    w.daemon.fail(CREATE, { kind: "refuse", status: 500, message: "mkdir x: no space left on device" }, 1_000);
    await w.fleet.start(aDocument("a"));
    await w.until("it says so", () => w.status("a")?.message.endsWith("answered 500, mkdir x: no space left on device") === true);
    await w.until("the third try", () => retries.length >= 3);
    w.daemon.thaw();
    await w.untilRuns("a");
    expect([retries.slice(0, 3), w.status("a")?.message]).to.deep.equal([[1_000, 2_000, 4_000], ""]);
  });

  it("pulls an image again that was removed between the look at it and the create", async () => {
    await using w = await fakeWorld();
    w.daemon.onRequest = (request) => {
      if (!CREATE.test(request) || w.count(CREATE) > 1) return;
      w.daemon.images.delete(IMAGE);
    };
    await w.fleet.start(aDocument("a"));
    await w.untilRuns("a");
    expect([w.count(CREATE), w.count(/POST \/images\/create/)]).to.deep.equal([2, 1]);
  });

  it("counts a create that timed out as running until an inspect tells: its segment is not released", async () => {
    await using w = await fakeWorld();
    const { promise: gate, resolve: land } = Promise.withResolvers<void>();
    w.daemon.onRequest = (request) => (CREATE.test(request) ? gate : undefined);
    const { worker } = await w.fleet.start(aDocument("a"));
    await w.until("the create is in hand", () => w.count(CREATE) === 1);
    const inspect = /GET .*bot-a\/json$/;
    const looks = w.count(inspect);
    w.daemon.fail(inspect, { kind: "hang-up", acts: false }, 1_000);
    const drained = worker.drain(new AbortController().signal);
    const segmentOwner = () => w.fleet.store.get("segments", placeOf("a"))?.["owner"];
    await w.until("several looks have failed", () => w.count(inspect) - looks >= 10); // two a look
    await w.pass(1_000); // nobody looks, no list shows anything, and the create may still land
    expect([segmentOwner(), w.daemon.boxes.size]).to.deep.equal(["engine-1", 0]);
    land();
    w.daemon.thaw();
    expect(await drained).to.equal(true);
    expect([segmentOwner(), w.daemon.boxes.size, w.daemon.started]).to.deep.equal([null, 0, []]);
  });

  it("counts a start that timed out as running until an inspect tells: its segment is not released", async () => {
    await using w = await fakeWorld();
    w.daemon.fail(START, { kind: "hang", acts: true });
    const { worker } = await w.fleet.start(aDocument("a"));
    await w.until("the start is in hand", () => w.count(START) === 1);
    w.daemon.fail(/GET .*bot-a\/json$/, { kind: "hang", acts: false }, 3);
    const drained = worker.drain(new AbortController().signal);
    const segmentOwner = () => w.fleet.store.get("segments", placeOf("a"))?.["owner"];
    await w.pass(45_000); // the start has timed out, and the first look as well
    expect([segmentOwner(), w.box("a").state]).to.deep.equal(["engine-1", "running"]);
    expect(await drained).to.equal(true);
    expect([segmentOwner(), w.daemon.boxes.size, w.daemon.started.length]).to.deep.equal([null, 0, 1]);
  });

  it("takes an end that is told before the start's reply for the end of that run", async () => {
    await using w = await fakeWorld();
    w.daemon.manner = "exits-at-once";
    w.daemon.fail(START, { kind: "hang", acts: true });
    await w.fleet.start(aDocument("a", { restart: "never" }));
    await w.until("it has completed", () => w.status("a")?.state === "completed" && w.daemon.boxes.size === 0);
    await w.pass(15_000);
    expect([w.runs().length, w.daemon.started.length, w.daemon.boxes.size]).to.deep.equal([1, 1, 0]);
  });

  for (const { why, ruin } of [
    { why: "the events are silent", ruin: (daemon: FakeDaemon) => void (daemon.isMute = true) },
    { why: "the events end", ruin: (daemon: FakeDaemon) => daemon.endStreams() },
  ]) {
    it(`sees a crash: ${why}`, async () => {
      await using w = await fakeWorld();
      await w.fleet.start(aDocument("a"));
      await w.untilRuns("a");
      await w.pass(12_000); // two lists, the first of which is what the next is compared with
      const streams = w.count(/GET \/events/);
      ruin(w.daemon);
      w.daemon.end(w.box("a"), 3);
      w.daemon.isMute = true;
      await w.until("the crash is recorded", () => w.runs().length === 1);
      await w.untilRuns("a");
      w.daemon.isMute = false;
      await w.until("another stream", () => w.count(/GET \/events/) > streams);
    });
  }

  it("is deaf to a daemon that stands still, and goes on where it was", async () => {
    await using w = await fakeWorld();
    const failed: string[] = [];
    w.fleet.bus.on("round:failed", ({ loop }) => failed.push(loop));
    await w.fleet.start(aDocument("a"));
    await w.untilRuns("a");
    w.daemon.freeze();
    w.fleet.store.putBot(aDocument("b"));
    await w.pass(60_000);
    expect([failed.includes("reconcile"), w.status("b")?.state]).to.deep.equal([true, undefined]);
    w.daemon.thaw();
    await w.untilRuns("b");
    expect(w.daemon.started).to.deep.equal([containerName(bot("a")), containerName(bot("b"))]);
  });

  it("starts again what died with its daemon, each once", async () => {
    await using w = await fakeWorld();
    await w.fleet.start(...["a", "b", "c"].map((id) => aDocument(id)));
    for (const id of ["a", "b", "c"]) await w.untilRuns(id);
    w.daemon.isMute = true;
    for (const box of w.daemon.boxes.values()) w.daemon.end(box, 255);
    w.daemon.endStreams();
    w.daemon.isMute = false;
    await w.until("all are back", () => w.daemon.started.length === 6);
    for (const id of ["a", "b", "c"]) await w.untilRuns(id);
    expect([w.daemon.started.length, w.daemon.boxes.size]).to.deep.equal([6, 3]);
  });

  it("creates one container however often it is told to look", async () => {
    await using w = await fakeWorld();
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    w.daemon.onRequest = (request) => (CREATE.test(request) ? gate : undefined);
    await w.fleet.start(aDocument("a"));
    const ghost: Box = {
      id: "g",
      name: "ghost",
      labels: { "botrunner.managed": "1", "botrunner.bot": "a" },
      imageId: "",
      state: "running",
    };
    for (let n = 0; n < 20; n++) w.daemon.tell("start", ghost);
    await w.pass(5_000);
    open();
    await w.untilRuns("a");
    expect(w.count(CREATE)).to.equal(1);
  });

  it("has at most four starts in hand of forty", async () => {
    await using w = await fakeWorld();
    let most = 0;
    w.daemon.onRequest = async (request) => {
      if (!CREATE.test(request)) return;
      most = Math.max(most, w.count(CREATE) - w.daemon.started.length);
      await systemClock.sleep(1, new AbortController().signal);
    };
    await w.fleet.start(...Array.from({ length: 40 }, (_, n) => aDocument(`bot-${n}`)));
    await w.until("all run", () => w.daemon.started.length === 40);
    expect(most).to.equal(4);
  });

  it("touches nothing that is not marked as its own, and nothing whose marks it cannot read", async () => {
    await using w = await fakeWorld();
    const { "botrunner.managed": _, ...own } = writeLabels(anOrder("x"));
    const strangers: readonly Box[] = [
      { id: "1", name: "by-prefix", labels: own, imageId: "", state: "running" },
      { id: "2", name: "other-value", labels: { ...own, "botrunner.managed": "0" }, imageId: "", state: "running" },
      {
        id: "3",
        name: containerName(bot("x")),
        labels: { ...own, "botrunner.managed": "1", "botrunner.seg": "one" },
        imageId: "",
        state: "running",
      },
      { id: "4", name: "bot-like", labels: {}, imageId: "", state: "exited" },
    ];
    for (const box of strangers) w.daemon.boxes.set(box.id, box);
    const before = JSON.stringify(strangers);
    const { worker } = await w.fleet.start(aDocument("a"));
    await w.untilRuns("a");
    await w.pass(30_000);
    expect(await worker.drain(new AbortController().signal)).to.equal(true);
    expect([JSON.stringify(strangers), [...w.daemon.boxes.keys()]]).to.deep.equal([before, ["1", "2", "3", "4"]]);
  });

  it("asks for the version again when another daemon has taken the place of the one it knew", async () => {
    await using w = await fakeWorld();
    w.daemon.range = { min: "1.24", max: "1.45" };
    await w.fleet.engine.list();
    w.daemon.range = { min: "1.24", max: "1.43" };
    await w.fleet.engine.create(anOrder("a"));
    w.daemon.range = { min: "1.44", max: "1.52" };
    await w.fleet.engine.list();
    expect([w.daemon.boxes.size, w.count(/GET \/version/)]).to.deep.equal([1, 3]);
  });
});
