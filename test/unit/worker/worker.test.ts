import { expect } from "chai";
import { StoreUnreachableError } from "../../../src/core/errors.ts";
import type { StatusRecord } from "../../../src/core/records.ts";
import { bot } from "../../support/builders.ts";
import { aDocument, fakeEngine, Fleet, placeOf, stop } from "../../support/fleet.ts";

describe("worker/worker Worker", () => {
  let fleet: Fleet;
  const status = (id: string): StatusRecord | undefined => fleet.store.get<StatusRecord>("status", id);
  const placement = (id: string) => fleet.store.get("placements", id);

  beforeEach(() => {
    fleet = new Fleet(fakeEngine);
  });
  afterEach(async () => {
    await fleet.end();
    expect([fleet.store.watching, fleet.store.openStreams]).to.deep.equal([0, 0]);
  });

  describe("a bot's life", () => {
    it("starts what is enabled and reports it", async () => {
      const { worker } = await fleet.start(aDocument("a"), aDocument("off", { enabled: false }), aDocument("bad", { image: 5 }));
      expect(fleet.engine.running()).to.deep.equal(["a"]);
      expect([status("a")?.state, status("off")?.state, status("bad")?.state]).to.deep.equal(["running", undefined, "invalid"]);
      expect(worker.isReady).to.equal(true);
    });

    it("waits longer after each crash, and counts them", async () => {
      await fleet.start(aDocument("a"));
      const waits: number[] = [];
      for (let n = 0; n < 3; n++) {
        fleet.engine.exit(bot("a"), 3);
        await fleet.clock.advance(0);
        expect([status("a")?.state, status("a")?.lastExit?.code]).to.deep.equal(["backoff", 3]);
        waits.push(Number(status("a")?.nextStart) - fleet.clock.wall().getTime());
        await fleet.clock.advance(waits[n]! - 1);
        expect(fleet.engine.running()).to.deep.equal([]);
        await fleet.clock.advance(1);
        expect(fleet.engine.running()).to.deep.equal(["a"]);
      }
      expect(waits).to.deep.equal([1_000, 2_000, 4_000]);
      expect([status("a")?.state, status("a")?.restarts]).to.deep.equal(["running", 3]);
      expect([...fleet.store.runs.values()].map((run) => [run.bot, run.exit, run.endedWhy])).to.deep.equal(
        Array.from({ length: 3 }, () => ["a", 3, "crashed"]),
      );
    });

    it("stops, proves and only then starts a bot whose document changed", async () => {
      await fleet.start(aDocument("a"));
      fleet.told.length = 0;
      fleet.store.putBot(aDocument("a", { env: { A: "2" } }));
      await fleet.clock.advance(2_000);
      expect(fleet.told).to.deep.equal(["bot:stopped a", "bot:ended a", "bot:started a"]);
      expect(fleet.engine.running()).to.deep.equal(["a"]);
    });

    it("does not restart a bot whose document changed in nothing that runs", async () => {
      await fleet.start(aDocument("a"));
      fleet.told.length = 0;
      fleet.store.putBot(aDocument("a", { enabled: true, stranger: 1 }));
      await fleet.clock.advance(12_000);
      expect(fleet.told).to.deep.equal([]);
    });

    for (const { why, change, state, left } of [
      { why: "disabled", change: () => fleet.store.putBot(aDocument("a", { enabled: false })), state: "stopped", left: false },
      { why: "turned invalid", change: () => fleet.store.putBot(aDocument("a", { image: 5 })), state: "invalid", left: false },
      { why: "deleted", change: () => fleet.store.deleteBot("a"), state: undefined, left: undefined },
    ]) {
      it(`stops a bot that was ${why}, settles its placement, and gives its segment back`, async () => {
        await fleet.start(aDocument("a"));
        change();
        await fleet.clock.advance(3_000);
        expect(fleet.engine.running()).to.deep.equal([]);
        expect(await fleet.engine.list()).to.deep.equal([]);
        expect([status("a")?.state, placement("a")?.["active"]]).to.deep.equal([state, left]);
        expect(fleet.store.get("segments", placeOf("a"))?.["state"]).to.equal("free");
      });
    }

    it("starts a bot again that was disabled and enabled, without its old back-off", async () => {
      await fleet.start(aDocument("a"));
      fleet.engine.exit(bot("a"), 3);
      await fleet.clock.advance(0);
      fleet.store.putBot(aDocument("a", { enabled: false }));
      await fleet.clock.advance(3_000);
      fleet.store.putBot(aDocument("a"));
      await fleet.clock.advance(3_000);
      expect(fleet.engine.running()).to.deep.equal(["a"]);
      expect(status("a")?.state).to.equal("running");
    });

    for (const { restart, code, state } of [
      { restart: "never", code: 0, state: "completed" },
      { restart: "never", code: 3, state: "failed" },
      { restart: "on-failure", code: 0, state: "completed" },
    ]) {
      it(`leaves a bot alone that ${state} under restart ${restart}, until its document changes`, async () => {
        await fleet.start(aDocument("a", { restart }));
        fleet.engine.exit(bot("a"), code);
        await fleet.clock.advance(30_000);
        expect([fleet.engine.running().length, status("a")?.state, placement("a")?.["active"]]).to.deep.equal([0, state, false]);
        fleet.store.putBot(aDocument("a", { restart, env: { A: "2" } }));
        await fleet.clock.advance(5_000);
        expect(fleet.engine.running()).to.deep.equal(["a"]);
      });
    }

    it("starts a bot again whose container somebody removed", async () => {
      await fleet.start(aDocument("a"));
      fleet.engine.vanish(bot("a"));
      await fleet.clock.advance(0);
      expect(fleet.engine.running()).to.deep.equal(["a"]);
    });

    it("waits while a stranger holds the bot's name, and says so", async () => {
      fleet.engine.occupy(bot("a"));
      await fleet.start(aDocument("a"), aDocument("b"));
      expect(fleet.engine.running()).to.deep.equal(["b"]);
      expect(status("a")?.state).to.equal("pending");
      expect(status("a")?.message).to.contain("not ours");
    });
  });

  it("catches up with a change whose hint was lost, as soon as it is told to look at everything", async () => {
    await fleet.start(aDocument("a"));
    fleet.store.muted = true;
    fleet.store.putBot(aDocument("a", { enabled: false }));
    fleet.store.putBot(aDocument("b"));
    await fleet.clock.advance(2_000);
    expect(fleet.engine.running()).to.deep.equal(["a"]);
    fleet.store.muted = false;
    fleet.store.hint("bots", { kind: "all" });
    await fleet.clock.advance(5_000);
    expect(fleet.engine.running()).to.deep.equal(["b"]);
  });

  it("reads a document again that changed while it was being read", async () => {
    await fleet.start(aDocument("a"));
    const gate = Promise.withResolvers<void>();
    const findBots = fleet.store.findBots.bind(fleet.store);
    fleet.store.findBots = async (ids) => {
      const found = await findBots(ids);
      await gate.promise;
      return found;
    };
    fleet.store.putBot(aDocument("a", { env: { A: "2" } }));
    await fleet.clock.advance(1_000);
    fleet.store.putBot(aDocument("a", { enabled: false }));
    await fleet.clock.advance(1_000);
    gate.resolve();
    await fleet.clock.advance(2_000);
    expect(fleet.engine.running()).to.deep.equal([]);
  });

  it("reads a document again whose reading broke off", async () => {
    await fleet.start(aDocument("a"));
    const findBots = fleet.store.findBots.bind(fleet.store);
    fleet.store.findBots = (ids) => (ids.includes(bot("a")) ? Promise.reject(new StoreUnreachableError("away")) : findBots(ids));
    fleet.store.putBot(aDocument("a", { enabled: false }));
    await fleet.clock.advance(1_000);
    fleet.store.findBots = findBots;
    await fleet.clock.advance(2_000);
    expect(fleet.engine.running()).to.deep.equal([]);
  });

  describe("faults of the engine", () => {
    it("makes no second container when the reply of a create is lost", async () => {
      const made: number[] = [];
      const create = fleet.engine.create.bind(fleet.engine);
      fleet.engine.create = (order) => {
        made.push(fleet.clock.mono());
        return create(order);
      };
      fleet.engine.loseReply("create");
      await fleet.start(aDocument("a"));
      await fleet.clock.advance(15_000);
      expect(fleet.engine.running()).to.deep.equal(["a"]);
      // The one that landed never ran: it is removed before another is made.
      expect(made).to.have.lengthOf(2);
      expect(await fleet.engine.list()).to.have.lengthOf(1);
    });

    it("adopts what a start with a lost reply has started", async () => {
      fleet.engine.loseReply("start");
      await fleet.start(aDocument("a"));
      await fleet.clock.advance(15_000);
      expect(fleet.told).to.deep.equal(["bot:visit-failed a", "bot:adopted a"]);
      expect(fleet.engine.running()).to.deep.equal(["a"]);
    });

    it("goes on where it was when the engine comes back", async () => {
      await fleet.start(aDocument("a"), aDocument("b"));
      fleet.engine.goAway();
      fleet.engine.exit(bot("a"), 3);
      fleet.store.putBot(aDocument("b", { enabled: false }));
      await fleet.clock.advance(20_000);
      expect(fleet.engine.running()).to.deep.equal(["b"]);
      fleet.engine.comeBack();
      await fleet.clock.advance(60_000);
      expect(fleet.engine.running()).to.deep.equal(["a"]);
      expect([status("a")?.state, status("b")?.state]).to.deep.equal(["running", "stopped"]);
    });

    it("leaves an image alone that cannot be had, until the document changes or the runtime starts anew", async () => {
      fleet.engine.registry = (image) => (image === "right:1" ? "found" : "missing");
      const { end } = await fleet.start(aDocument("a", { image: "wrong:1" }));
      await fleet.clock.advance(600_000);
      expect(fleet.engine.pulls).to.deep.equal(["wrong:1"]);
      expect(status("a")).to.include({ state: "backoff", nextStart: null, message: 'Cannot pull "wrong:1": the registry is missing' });
      end.abort();
      await fleet.clock.advance(60_000);
      await fleet.startWorker();
      await fleet.clock.advance(600_000);
      expect(fleet.engine.pulls).to.deep.equal(["wrong:1", "wrong:1"]);
      fleet.store.putBot(aDocument("a", { image: "right:1" }));
      await fleet.clock.advance(5_000);
      expect([fleet.engine.running(), status("a")?.state, status("a")?.message]).to.deep.equal([["a"], "running", ""]);
    });

    it("asks for the image as the document says", async () => {
      fleet.engine.images.add("here:1");
      await fleet.start(
        aDocument("a", { image: "here:1", imagePullPolicy: "always" }),
        aDocument("b", { image: "none:1", imagePullPolicy: "never" }),
      );
      await fleet.clock.advance(1_000);
      expect([fleet.engine.pulls, fleet.engine.running()]).to.deep.equal([["here:1"], ["a"]]);
      expect(status("b")?.message).to.contain("imagePullPolicy is never");
    });

    it("says which images are wanted while it knows, and not while it leaves", async () => {
      const { worker } = await fleet.start(aDocument("a", { image: "x:1" }), aDocument("b", { enabled: false, image: "y:1" }));
      await fleet.clock.advance(20_000);
      expect([...(fleet.engine.wanted ?? [])]).to.deep.equal(["x:1"]);
      fleet.engine.wanted = undefined;
      const drained = worker.drain(new AbortController().signal);
      await fleet.clock.advance(20_000);
      await drained;
      expect(fleet.engine.wanted).to.equal(undefined);
    });

    it("keeps what image a run had with the run", async () => {
      await fleet.start(aDocument("a"));
      fleet.engine.exit(bot("a"), 3);
      await fleet.clock.advance(5_000);
      expect([...fleet.store.runs.values()][0]).to.include({ bot: "a", digest: "sha256:bot-runner/demo-bot:1" });
    });

    for (const method of ["inspect", "create", "start"] as const) {
      it(`keeps a TypeError of ${method} to the one bot that it met`, async () => {
        const life = await fleet.start(aDocument("good"));
        const real = fleet.engine.inspect.bind(fleet.engine);
        const fault = new TypeError("not a function");
        const { engine } = fleet;
        if (method === "start") engine.failNext("start", fault);
        else if (method === "create") engine.failNext("create", fault);
        else engine.inspect = async (id) => (id === "bad" ? Promise.reject(fault) : real(id));
        fleet.store.putBot(aDocument("bad"));
        await fleet.clock.advance(3_000);
        expect(fleet.told).to.include("bot:visit-failed bad");
        fleet.store.putBot(aDocument("other"));
        await fleet.clock.advance(3_000);
        fleet.engine.exit(bot("good"), 1);
        await fleet.clock.advance(10_000);
        expect(fleet.engine.running()).to.include.members(["good", "other"]);
        expect(life.fault).to.equal(undefined);
      });
    }
  });

  describe("faults of the store", () => {
    it("keeps bots running while the store is away, restarts the crashed, and catches up on status", async () => {
      await fleet.start(aDocument("a"), aDocument("b"));
      fleet.store.goAway();
      await fleet.clock.advance(60_000);
      expect(fleet.engine.running()).to.have.members(["a", "b"]);
      fleet.engine.exit(bot("a"), 3);
      await fleet.clock.advance(5_000);
      expect(fleet.engine.running()).to.have.members(["a", "b"]);
      expect(status("a")?.restarts).to.equal(0);
      fleet.store.comeBack();
      await fleet.clock.advance(40_000);
      expect([status("a")?.restarts, status("a")?.state]).to.deep.equal([1, "running"]);
      expect(fleet.store.runs.size).to.equal(1);
    });

    it("sees what changed meanwhile", async () => {
      await fleet.start(aDocument("a"), aDocument("b"));
      fleet.store.goAway();
      fleet.store.deleteBot("a");
      fleet.store.putBot(aDocument("c"));
      await fleet.clock.advance(30_000);
      expect(fleet.engine.running()).to.have.members(["a", "b"]);
      fleet.store.comeBack();
      await fleet.clock.advance(40_000);
      expect(fleet.engine.running()).to.have.members(["b", "c"]);
    });

    for (let write = 0; write < 6; write++) {
      it(`leaves nothing of a deleted bot, though the reply to write ${write} after its stop is lost`, async () => {
        await fleet.start(aDocument("a"));
        fleet.bus.once("bot:stopped", () => fleet.store.loseReply("apply", write));
        fleet.store.deleteBot("a");
        await fleet.clock.advance(60_000);
        expect([fleet.engine.running().length, placement("a"), status("a")]).to.deep.equal([0, undefined, undefined]);
      });
    }

    for (const op of ["deactivate", "forget"] as const)
      it(`leaves nothing of a deleted bot whose segment is taken back while "${op}" is on its way`, async () => {
        await fleet.start(aDocument("a"));
        const { store } = fleet;
        const apply = store.apply.bind(store);
        store.apply = async (operation) => {
          const outcome = await apply(operation);
          if (operation.op !== op) return outcome;
          store.apply = apply;
          await fleet.clock.sleep(3_000, new AbortController().signal); // meanwhile the leader revokes, for nothing is active there
          return outcome;
        };
        store.deleteBot("a");
        await fleet.clock.advance(60_000);
        expect([fleet.engine.running().length, placement("a"), status("a")]).to.deep.equal([0, undefined, undefined]);
        expect(fleet.store.get("segments", placeOf("a"))).to.include({ state: "free", owner: null });
      });

    it("runs a bot again that was enabled just before its deactivation landed and the reply was lost", async () => {
      await fleet.start(aDocument("a"));
      const { store } = fleet;
      const apply = store.apply.bind(store);
      store.apply = async (operation) => {
        if (operation.collection !== "placements") return apply(operation);
        store.apply = apply;
        store.muted = true; // the leader looked while the placement was still active, and did nothing
        store.putBot(aDocument("a"));
        store.muted = false;
        await apply(operation);
        throw new StoreUnreachableError("the reply was lost");
      };
      store.putBot(aDocument("a", { enabled: false }));
      await fleet.clock.advance(10_000);
      expect([fleet.engine.running(), placement("a")?.["active"]]).to.deep.equal([["a"], true]);
    });

    for (const awayMs of [100, 250, 500, 1_000, 3_000, 10_000]) {
      it(`leaves nothing of a deleted bot, though the store goes away for ${awayMs} ms as it stops`, async () => {
        await fleet.start(aDocument("a"));
        fleet.bus.once("bot:stopped", () => fleet.store.goAway());
        fleet.store.deleteBot("a");
        await fleet.clock.advance(awayMs);
        fleet.store.comeBack();
        await fleet.clock.advance(60_000);
        expect([fleet.engine.running().length, placement("a"), status("a")]).to.deep.equal([0, undefined, undefined]);
      });
    }

    it("starts the bots of a segment at once whose first reading broke off half-way", async () => {
      await fleet.start(aDocument("a"));
      fleet.store.failNext("findStatuses");
      fleet.store.putBot(aDocument("b"));
      await fleet.clock.advance(3_000); // long before the next list
      expect(fleet.engine.running()).to.have.members(["a", "b"]);
    });

    it("survives a lost reply of any write", async () => {
      await fleet.start(aDocument("a"));
      for (let n = 0; n < 6; n++) fleet.store.loseReply("apply");
      fleet.store.putBot(aDocument("a", { enabled: false }));
      await fleet.clock.advance(60_000);
      expect([fleet.engine.running().length, placement("a")?.["active"], status("a")?.state]).to.deep.equal([0, false, "stopped"]);
    });
  });

  it("leaves bots as they are when it ends, and adopts them in its next life", async () => {
    const first = await fleet.start(aDocument("a"), aDocument("b"));
    await stop(first);
    fleet.engine.exit(bot("b"), 3);
    fleet.told.length = 0;
    const second = await fleet.startWorker();
    await fleet.clock.advance(12_000);
    expect([second.session.sid, second.session.inc]).to.deep.equal([first.session.sid, 2]);
    expect(fleet.told.filter((line) => line.endsWith(" a"))).to.deep.equal(["bot:adopted a"]);
    expect(fleet.engine.running()).to.have.members(["a", "b"]);
  });
});
