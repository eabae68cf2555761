import { expect } from "chai";
import { type EngineRefusedError, EngineUnreachableError } from "../../../src/core/errors.ts";
import { containerName } from "../../../src/core/ids.ts";
import type { RunRecord, StatusRecord } from "../../../src/core/records.ts";
import { createEngine } from "../../../src/docker/engine.ts";
import { systemClock } from "../../../src/process/clock.ts";
import { aSpec, bot, epoch, hash, segment, sid } from "../../support/builders.ts";
import { eventually } from "../../support/eventually.ts";
import { type Box, type Fault, FakeDaemon } from "../../support/fake-daemon.ts";
import { aDocument, Fleet, placeOf } from "../../support/fleet.ts";
import { runClock } from "../../support/run-clock.ts";

const CREATE = /POST \/containers\/create/;
const START = /POST .*\/start$/;
const IMAGE = "bot-runner/demo-bot:1";

/** A worker on a daemon with faults; its time runs a hundred times as fast as ours. */
async function world() {
  const daemon = await FakeDaemon.start();
  const fleet = new Fleet((clock) => createEngine({ dockerHost: daemon.host, stateDir: daemon.stateDir, clock, random: () => 0 }));
  const running = runClock(fleet.clock, 250);
  const status = (id: string) => fleet.store.get<StatusRecord>("status", id);
  const box = (id: string): Box => {
    const found = daemon.named(containerName(bot(id)));
    if (found === undefined) throw new Error(`expected a container of bot "${id}"`);
    return found;
  };
  const until = (what: string, test: () => boolean) =>
    eventually(
      what,
      async () => test(),
      8_000,
      async () => JSON.stringify([status("a"), daemon.asked.slice(-8)]),
    );
  return {
    daemon,
    fleet,
    status,
    box,
    until,
    count: (of: RegExp) => daemon.asked.filter((request) => of.test(request)).length,
    runs: () => [...fleet.store.runs.values()] as RunRecord[],
    untilRuns: (id: string) => until(`"${id}" runs`, () => status(id)?.state === "running" && box(id).state === "running"),
    /** Lets the worker's time pass. */
    async pass(ms: number) {
      const end = fleet.clock.mono() + ms;
      await until(`${ms} ms have passed`, () => fleet.clock.mono() >= end);
    },
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]();
      daemon.thaw();
      fleet.engine.close();
      await fleet.end();
      await daemon[Symbol.asyncDispose]();
    },
  };
}

const order = (id: string) =>
  ({ bot: bot(id), spec: aSpec(), hash: hash(), segment: segment(1), epoch: epoch(1), sid: sid(), why: "new" }) as const;

describe("a worker on a daemon with faults", function () {
  this.timeout(20_000);

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
      await using w = await world();
      w.daemon.fail(of, fault);
      const life = await w.fleet.start(aDocument("a"));
      await w.untilRuns("a");
      expect([w.daemon.started.length, w.daemon.boxes.size, life.fault]).to.deep.equal([starts, 1, undefined]);
    });
  }

  it("says why a full disk keeps the bot from starting, and waits longer each time", async () => {
    await using w = await world();
    w.daemon.fail(CREATE, { kind: "refuse", status: 500, message: "mkdir x: no space left on device" }, 3);
    await w.fleet.start(aDocument("a"));
    await w.until("the third try", () => w.status("a")?.attempt === 3);
    expect(w.status("a")?.message).to.match(/answered 500, mkdir x: no space left on device$/);
    await w.untilRuns("a");
    expect(w.status("a")?.message).to.equal("");
  });

  it("pulls an image again that was removed between the look at it and the create", async () => {
    await using w = await world();
    w.daemon.onRequest = (request) => {
      if (!CREATE.test(request) || w.count(CREATE) > 1) return;
      w.daemon.images.delete(IMAGE);
    };
    await w.fleet.start(aDocument("a"));
    await w.untilRuns("a");
    expect([w.count(CREATE), w.count(/POST \/images\/create/)]).to.deep.equal([2, 1]);
  });

  it("counts a create that timed out as running until an inspect tells: its segment is not released", async () => {
    await using w = await world();
    w.daemon.fail(CREATE, { kind: "hang", acts: true });
    const { worker } = await w.fleet.start(aDocument("a"));
    await w.until("the create is in hand", () => w.daemon.boxes.size === 1);
    w.daemon.fail(/GET .*bot-a\/json$/, { kind: "hang", acts: false }, 3);
    const drained = worker.drain(new AbortController().signal);
    const segmentOwner = () => w.fleet.store.get("segments", placeOf("a"))?.["owner"];
    await w.pass(45_000); // the create has timed out, and the first inspect as well
    expect([segmentOwner(), w.daemon.boxes.size]).to.deep.equal(["engine-1", 1]);
    expect(await drained).to.equal(true);
    expect([segmentOwner(), w.daemon.boxes.size, w.daemon.started]).to.deep.equal([null, 0, []]);
  });

  it("takes an end that is told before the start's reply for the end of that run", async () => {
    await using w = await world();
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
      await using w = await world();
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
    await using w = await world();
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
    await using w = await world();
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
    await using w = await world();
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
    await using w = await world();
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

  describe("refusals with 409", () => {
    it("one of two creates at a time gets the name", async () => {
      await using w = await world();
      const ends = await Promise.allSettled([1, 2].map(() => w.fleet.engine.create(order("a"))));
      const refused = ends.flatMap((end) => (end.status === "rejected" ? [(end.reason as EngineRefusedError).status] : []));
      expect([refused, w.daemon.boxes.size]).to.deep.equal([[409], 1]);
    });

    it("a stranger has the name: the bot waits and says so, until the stranger is gone", async () => {
      await using w = await world();
      const stranger: Box = { id: "s", name: containerName(bot("a")), labels: {}, imageId: "", state: "running" };
      w.daemon.boxes.set("s", stranger);
      await w.fleet.start(aDocument("a"));
      await w.until("it says so", () => w.status("a")?.message.includes("not ours") === true);
      w.daemon.boxes.delete("s");
      await w.untilRuns("a");
      expect(stranger.state).to.equal("running");
    });

    it("nothing has the name: a few tries a minute, then a word to the operator, then a start once it is free", async () => {
      await using w = await world();
      w.daemon.leaked.add(containerName(bot("a")));
      await w.fleet.start(aDocument("a"));
      await w.until("it asks for help", () => w.status("a")?.message.endsWith("restart the Docker daemon") === true);
      expect(w.status("a")?.state).to.equal("backoff");
      expect(w.count(CREATE)).to.be.within(10, 40); // five a try
      w.daemon.leaked.clear();
      await w.untilRuns("a");
      expect(w.status("a")?.message).to.equal("");
    });

    it("a removal is under way: a second one waits for its end", async () => {
      await using w = await world();
      await w.fleet.engine.create(order("a"));
      const box = w.box("a");
      const container = (await w.fleet.engine.list())[0];
      if (container === undefined) throw new Error("expected a container");
      box.state = "removing";
      let isDone = false;
      const removed = w.fleet.engine.remove(container).then(() => (isDone = true));
      await w.pass(2_000);
      expect(isDone).to.equal(false);
      w.daemon.boxes.delete(box.id);
      await removed;
    });

    it("a removal never ends: that is said, and nothing waits for ever", async () => {
      await using w = await world();
      await w.fleet.engine.create(order("a"));
      const [container] = await w.fleet.engine.list();
      w.box("a").state = "removing";
      const error: unknown = await w.fleet.engine.remove(container!).catch((fault: unknown) => fault);
      expect(error)
        .to.be.instanceOf(EngineUnreachableError)
        .with.property("message")
        .that.matches(/does not end/);
    });

    it("a container is removed before its start: the bot gets another", async () => {
      await using w = await world();
      w.daemon.onRequest = (request) => {
        if (START.test(request) && w.count(START) === 1) w.box("a").state = "removing";
      };
      await w.fleet.start(aDocument("a"));
      await w.until("the refused start", () => w.count(START) === 1);
      await w.pass(1_000);
      w.daemon.boxes.clear();
      await w.untilRuns("a");
      expect([w.daemon.started.length, w.runs().length]).to.deep.equal([1, 0]);
    });

    it("what is killed runs no more: success", async () => {
      await using w = await world();
      const id = await w.fleet.engine.create(order("a"));
      await w.fleet.engine.stop(id, 0);
      await w.fleet.engine.start(id);
      await w.fleet.engine.start(id); // 304
      await w.fleet.engine.stop(id, 1);
      await w.fleet.engine.stop(id, 1); // 304
      expect(w.box("a").state).to.equal("exited");
    });
  });

  describe("how a run ended", () => {
    for (const { why, end, code, oom, message } of [
      {
        why: "its first process was out of memory",
        end: (d: FakeDaemon, box: Box) => (d.tell("oom", box), d.end(box, 137, true)),
        code: 137,
        oom: "oom",
        message: "killed: out of memory",
      },
      {
        why: "a child was out of memory, and the bot ended by itself",
        end: (d: FakeDaemon, box: Box) => (d.tell("oom", box), d.end(box, 5, true)),
        code: 5,
        oom: "oom",
        message: "a process of it was killed: out of memory",
      },
      {
        why: "an event tells of it and the flag does not",
        end: (d: FakeDaemon, box: Box) => (d.tell("oom", box), d.end(box, 137)),
        code: 137,
        oom: "likely-oom",
        message: "probably killed: out of memory",
      },
      { why: "somebody sent SIGKILL", end: (d: FakeDaemon, box: Box) => d.end(box, 137), code: 137, oom: "no", message: "" },
    ] as const) {
      it(`tells ${oom}: ${why}`, async () => {
        await using w = await world();
        await w.fleet.start(aDocument("a", { restart: "never" }));
        await w.untilRuns("a");
        end(w.daemon, w.box("a"));
        await w.until("it has failed", () => w.status("a")?.state === "failed");
        expect(w.runs()[0]).to.include({ exit: code, oom, endedWhy: "failed" });
        expect(w.status("a")?.lastExit).to.include({ code, oom });
        expect(w.status("a")?.message).to.equal(message);
      });
    }

    it("needs no help of a bot that ignores SIGTERM, and does not call its end one of memory", async () => {
      await using w = await world();
      w.daemon.manner = "deaf";
      await w.fleet.start(aDocument("a"));
      await w.untilRuns("a");
      w.daemon.tell("oom", w.box("a"));
      w.fleet.store.putBot(aDocument("a", { enabled: false }));
      await w.until("it is stopped", () => w.status("a")?.state === "stopped");
      expect(w.runs()[0]).to.include({ exit: 137, oom: "no", endedWhy: "disabled" });
      expect(w.daemon.boxes.size).to.equal(0);
    });
  });

  it("touches nothing that is not marked as its own, and nothing whose marks it cannot read", async () => {
    await using w = await world();
    const own = { "botrunner.bot": "x", "botrunner.seg": "1", "botrunner.epoch": "1", "botrunner.sid": "s", "botrunner.spec": "h" };
    const strangers: readonly Box[] = [
      { id: "1", name: "by-prefix", labels: own, imageId: "", state: "running" },
      { id: "2", name: "other-value", labels: { ...own, "botrunner.managed": "0" }, imageId: "", state: "running" },
      { id: "3", name: "unreadable", labels: { ...own, "botrunner.managed": "1", "botrunner.seg": "one" }, imageId: "", state: "running" },
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
    await using w = await world();
    w.daemon.range = { min: "1.24", max: "1.45" };
    await w.fleet.engine.ping();
    w.daemon.range = { min: "1.24", max: "1.43" };
    await w.fleet.engine.create(order("a"));
    w.daemon.range = { min: "1.44", max: "1.52" };
    await w.fleet.engine.list();
    expect([w.daemon.boxes.size, w.count(/GET \/version/)]).to.deep.equal([1, 3]);
  });
});
