import { expect } from "chai";
import { EngineUnreachableError, SessionLostError, StoreUnreachableError } from "../../../src/core/errors.ts";
import { deactivate, freeSegment } from "../../../src/core/operations.ts";
import type { SegmentRecord, WorkerRecord } from "../../../src/core/records.ts";
import { createBotReader } from "../../../src/document/read-bot.ts";
import { stopAll } from "../../../src/worker/stop-all.ts";
import type { Worker } from "../../../src/worker/worker.ts";
import { aSpec, bot, epoch, hash, segment, sid } from "../../support/builders.ts";
import { FakeEngine } from "../../support/fake-engine.ts";
import { aDocument, fakeEngine, Fleet, placeOf, stop } from "../../support/fleet.ts";
import { fields } from "../../contract/operation-cases.ts";

function hashOf(document: ReturnType<typeof aDocument>): string {
  const reading = createBotReader({ maxStopGraceSeconds: 60 })({ raw: { kind: "string", value: String(document._id) }, document });
  return reading.kind === "valid" ? reading.hash : "";
}

describe("worker: what it owns", () => {
  let fleet: Fleet;
  const never = new AbortController().signal;
  const segmentOf = (id: string): SegmentRecord => fleet.store.get<SegmentRecord>("segments", placeOf(id))!;
  const session = (id: string): WorkerRecord => fleet.store.get<WorkerRecord>("workers", id)!;
  /** A container as another life of this worker would have left it. */
  const leave = async (id: string, over: { sid?: string; epoch?: number; segment?: number; hash?: string } = {}): Promise<void> => {
    const owner = { segment: segment(over.segment ?? placeOf(id)), epoch: epoch(over.epoch ?? 5), sid: sid(over.sid ?? "engine-1") };
    await fleet.engine.start(
      await fleet.engine.create({ bot: bot(id), spec: aSpec(), hash: hash(over.hash ?? "old"), why: "new", ...owner }),
    );
  };

  /** The process died after it had stopped its bot, while the store still says that the segment is its own. */
  async function ownedAndStopped(): Promise<SegmentRecord> {
    await fleet.start(aDocument("a"));
    await fleet.end();
    fleet.engine.vanish(bot("a"));
    fleet.told.length = 0;
    return segmentOf("a");
  }

  beforeEach(() => {
    fleet = new Fleet(fakeEngine);
  });
  afterEach(() => fleet.end());

  describe("containers of others", () => {
    it("kills what carries its label and belongs to nobody it knows", async () => {
      await leave("stranger", { sid: "other" });
      await leave("old-epoch", { epoch: 1 });
      await fleet.start(aDocument("a"), aDocument("old-epoch"));
      await fleet.clock.advance(12_000);
      expect(fleet.engine.running()).to.have.members(["a", "old-epoch"]);
      expect((await fleet.engine.list()).every((c) => c.epoch === segmentOf(c.bot).epoch && c.sid === "engine-1")).to.equal(true);
    });

    for (const other of [{ epoch: 1 }, { sid: "other" }]) {
      it(`kills another owner's container though its document is the same: ${JSON.stringify(other)}`, async () => {
        await fleet.start(aDocument("a"));
        await fleet.end();
        fleet.engine.vanish(bot("a"));
        await leave("a", { hash: hashOf(aDocument("a")), epoch: segmentOf("a").epoch, ...other });
        fleet.told.length = 0;
        await fleet.startWorker();
        await fleet.clock.advance(12_000);
        const [container, ...more] = await fleet.engine.list();
        expect([container?.epoch, container?.sid, more]).to.deep.equal([segmentOf("a").epoch, "engine-1", []]);
        expect(fleet.told).to.deep.equal(["bot:stopped a", "bot:ended a", "bot:started a"]);
      });
    }

    it("sweeps nothing while the store is silent, and the stranger once it answers", async () => {
      await fleet.start(aDocument("a"));
      fleet.store.goAway();
      await fleet.clock.advance(2_000);
      await leave("stranger", { sid: "other" });
      await fleet.clock.advance(30_000);
      expect(fleet.engine.running()).to.have.members(["a", "stranger"]);
      fleet.store.comeBack();
      await fleet.clock.advance(40_000);
      expect(fleet.engine.running()).to.deep.equal(["a"]);
    });

    it("calls nothing a stranger before it has read all that it owns", async () => {
      await fleet.start(aDocument("a"));
      await fleet.end();
      fleet.told.length = 0;
      for (let n = 0; n < 30; n++) fleet.store.failNext("activePlacements");
      await fleet.startWorker();
      await fleet.clock.advance(20_000);
      expect([fleet.engine.running(), fleet.told]).to.deep.equal([["a"], []]);
      await fleet.clock.advance(30_000);
      expect([fleet.engine.running(), fleet.told]).to.deep.equal([["a"], ["bot:adopted a"]]);
    });
  });

  describe("a take-over", () => {
    const ids = (count: number, prefix = "b"): string[] => Array.from({ length: count }, (_, n) => `${prefix}${n}`);
    const indexOf = (line: string): number => fleet.told.indexOf(line);

    /** Of the bots `running` run on while the process is gone; the others have vanished. */
    async function restarted(running: readonly string[], vanished: readonly string[]): Promise<void> {
      await fleet.start(...[...running, ...vanished].map((id) => aDocument(id)));
      await fleet.clock.advance(5_000);
      expect(fleet.engine.running()).to.have.lengthOf(running.length + vanished.length);
      await fleet.end();
      for (const id of vanished) fleet.engine.vanish(bot(id));
      fleet.told.length = 0;
    }

    it("adopts all that runs before it starts anything, however slow the Engine answers", async () => {
      await restarted(["run1", "run2"], ids(20));
      const inspect = fleet.engine.inspect.bind(fleet.engine);
      fleet.engine.inspect = async (id) => {
        if (id === "run2") await fleet.clock.sleep(700, never);
        return inspect(id);
      };
      await fleet.startWorker();
      await fleet.clock.advance(600);
      expect(fleet.told).to.deep.equal(["bot:adopted run1"]);
      await fleet.clock.advance(12_000);
      expect(fleet.told.slice(0, 2)).to.deep.equal(["bot:adopted run1", "bot:adopted run2"]);
      expect(fleet.engine.running()).to.have.lengthOf(22);
    });

    it("looks once at each bot that it adopts, and reports it", async () => {
      await restarted(["run1", "run2"], []);
      const looks: string[] = [];
      const inspect = fleet.engine.inspect.bind(fleet.engine);
      fleet.engine.inspect = (id) => (looks.push(id), inspect(id));
      const from = fleet.store.applied.length;
      await fleet.startWorker();
      await fleet.clock.advance(12_000);
      expect(looks).to.have.members(["run1", "run2"]);
      const reports = fleet.store.applied.slice(from).filter(({ operation }) => operation.collection === "status");
      expect(reports.map(({ operation }) => operation.id)).to.have.members(["run1", "run2"]);
    });

    it("starts all the same when a bot that seemed to run cannot be looked at", async () => {
      await restarted(["away"], ["lost"]);
      const inspect = fleet.engine.inspect.bind(fleet.engine);
      fleet.engine.inspect = async (id) => (id === "away" ? Promise.reject(new EngineUnreachableError("no answer")) : inspect(id));
      await fleet.startWorker();
      await fleet.clock.advance(500);
      expect(fleet.told.slice(0, 2)).to.deep.equal(["bot:visit-failed away", "bot:started lost"]);
    });

    it("does not let starts wait for a bot that turns out to need a slow stop", async () => {
      fleet = new Fleet((clock) => new FakeEngine({ clock, programOf: () => ({ ignoresTerm: true }) }));
      await restarted(["deaf"], ["lost"]);
      const inspect = fleet.engine.inspect.bind(fleet.engine);
      fleet.engine.inspect = async (id) => {
        if (id !== "deaf") return inspect(id);
        fleet.store.putBot(aDocument("deaf", { enabled: false }));
        await fleet.clock.sleep(100, never); // the change is known before the answer comes
        return inspect(id);
      };
      await fleet.startWorker();
      await fleet.clock.advance(500);
      expect([fleet.told, fleet.engine.running()]).to.deep.equal([["bot:started lost"], ["deaf", "lost"]]);
    });

    it("spreads the starts, and lets none wait longer than two seconds", async () => {
      await restarted([], ids(30));
      const began = new Map<string, number>();
      const create = fleet.engine.create.bind(fleet.engine);
      fleet.engine.create = (order) => {
        began.set(order.bot, fleet.clock.mono());
        return create(order);
      };
      let n = 0;
      fleet.random = () => (n++ % 30) / 30;
      await fleet.startWorker();
      const from = fleet.clock.mono();
      await fleet.clock.advance(2_000);
      expect(began.size).to.equal(30);
      expect(new Set(began.values()).size).to.equal(30);
      expect(Math.max(...began.values()) - from).to.be.within(500, 29 * 20);
    });

    it("lets a single new bot start at once", async () => {
      fleet.random = () => 0.999;
      await fleet.start(aDocument("a"));
      const gained: number[] = [];
      fleet.bus.on("segment:gained", () => gained.push(fleet.clock.mono()));
      fleet.bus.on("bot:started", () => gained.push(fleet.clock.mono()));
      fleet.store.putBot(aDocument("b"));
      await fleet.clock.advance(3_000);
      expect(indexOf("bot:started b")).to.equal(1);
      expect(gained).to.have.lengthOf(2);
      expect(gained[1]! - gained[0]!).to.be.below(5);
    });
  });

  describe("a restart of the process", () => {
    it("keeps counts of crashes and the wait before the next start's length", async () => {
      const first = await fleet.start(aDocument("a"));
      for (const wait of [1_000, 2_000]) {
        fleet.engine.exit(bot("a"), 3);
        await fleet.clock.advance(wait);
      }
      await stop(first);
      await fleet.startWorker();
      await fleet.clock.advance(12_000);
      fleet.engine.exit(bot("a"), 3);
      await fleet.clock.advance(3_999);
      expect(fleet.engine.running()).to.deep.equal([]);
      await fleet.clock.advance(1);
      expect(fleet.engine.running()).to.deep.equal(["a"]);
    });

    it("never starts under an epoch that was released, though the store still calls it ours", async () => {
      const { epoch: past } = await ownedAndStopped();
      await fleet.released.append(placeOf("a"), past);
      await fleet.startWorker();
      await fleet.clock.advance(30_000);
      expect(fleet.engine.running()).to.deep.equal([]);
      expect(fleet.told).to.deep.equal([]);
    });

    it("lets go once more of what it had released when the process died: else nobody would ever run it", async () => {
      const { epoch: past } = await ownedAndStopped();
      await fleet.released.append(placeOf("a"), past);
      await fleet.startWorker();
      await fleet.clock.advance(5_000);
      expect([segmentOf("a").state, segmentOf("a").owner]).to.deep.equal(["free", null]);
    });

    it("starts under the next epoch after a release", async () => {
      const { epoch: past } = await ownedAndStopped();
      await fleet.released.append(placeOf("a"), epoch(past - 1));
      await fleet.startWorker();
      await fleet.clock.advance(5_000);
      expect(fleet.engine.running()).to.deep.equal(["a"]);
    });
  });

  it("keeps a bot whose deactivation lands long after its owner has given up on it, and the user has thought better of it", async () => {
    // Alone in its segment the leader might be faster and take the segment away.
    const neighbour = Array.from({ length: 100 }, (_, i) => `b${i}`).find((id) => placeOf(id) === placeOf("a")) ?? "";
    await fleet.start(aDocument("a"), aDocument(neighbour));
    fleet.told.length = 0;
    await fleet.store.apply(deactivate(bot("a"), segment(placeOf("a")), null));
    await fleet.clock.advance(12_000);
    expect(fleet.told).to.deep.equal([]);
    expect(fleet.engine.running()).to.have.members(["a", neighbour]);
    expect(fleet.store.get("placements", "a")?.["active"]).to.equal(true);
  });

  describe("leaving", () => {
    let worker: Worker;
    const draining = (): Promise<boolean> => worker.drain(never);

    it("drains: stops all, releases all, keeps placements active, and says good-bye", async () => {
      const { worker } = await fleet.start(aDocument("a"), aDocument("b"), aDocument("c"));
      const drained = worker.drain(never);
      await fleet.clock.advance(5_000);
      expect(await drained).to.equal(true);
      expect(await fleet.engine.list()).to.deep.equal([]);
      for (const id of ["a", "b", "c"]) {
        expect([segmentOf(id).state, segmentOf(id).owner, fleet.store.get("placements", id)?.["active"]]).to.deep.equal([
          "free",
          null,
          true,
        ]);
        expect(fleet.released.epochOf(placeOf(id))).to.equal(segmentOf(id).epoch);
        expect(fleet.store.get("status", id)?.["state"]).to.equal("stopped");
      }
      expect(session("engine-1").state).to.equal("gone");
    });

    for (const { why, op } of [
      { why: "that it drains", op: "draining" },
      { why: "that it has left", op: "gone" },
    ]) {
      it(`says it again when its word was lost: ${why}`, async () => {
        const { worker } = await fleet.start(aDocument("a"));
        for (let n = 0; n < 4; n++) fleet.engine.failNext("stop"); // so that it takes longer than a renewal
        const apply = fleet.store.apply.bind(fleet.store);
        const seen: string[] = [];
        let left = 1;
        fleet.store.apply = async (operation) => {
          if (operation.op === op && left-- > 0) throw new StoreUnreachableError("Cannot be heard");
          const outcome = await apply(operation);
          if (operation.collection === "workers") seen.push(session("engine-1").state);
          return outcome;
        };
        const drained = worker.drain(never);
        await fleet.clock.advance(15_000);
        expect(await drained).to.equal(true);
        expect(seen.at(-1)).to.equal("gone");
        expect(seen).to.include("draining");
      });
    }

    it("starts nothing once it drains", async () => {
      const { worker } = await fleet.start(aDocument("a"));
      const drained = worker.drain(never);
      fleet.store.putBot(aDocument("a", { env: { A: "2" } }));
      fleet.store.putBot(aDocument("late"));
      await fleet.clock.advance(5_000);
      expect(await drained).to.equal(true);
      expect(fleet.told.filter((line) => line.startsWith("bot:started"))).to.deep.equal(["bot:started a"]);
    });

    for (const { why, act } of [
      { why: "the bot was disabled", act: () => fleet.store.putBot(aDocument("a", { enabled: false })) },
      { why: "the bot was deleted", act: () => fleet.store.deleteBot("a") },
      { why: "the worker drains", act: () => void draining() },
    ]) {
      it(`creates nothing when the image comes at last and ${why} meanwhile`, async () => {
        const { promise: image, resolve: comes } = Promise.withResolvers<void>();
        fleet.engine.ensureImage = () => image;
        let made = 0;
        fleet.engine.create = async () => {
          made += 1;
          throw new Error("nobody asked for it");
        };
        ({ worker } = await fleet.start(aDocument("a")));
        act();
        await fleet.clock.advance(3_000);
        comes();
        await fleet.clock.advance(10_000);
        expect([made, segmentOf("a").state]).to.deep.equal([0, "free"]);
      });
    }

    it("releases no segment whose bot it cannot prove stopped", async () => {
      await fleet.end();
      fleet = new Fleet((clock) => new FakeEngine({ clock, programOf: () => ({ ignoresTerm: true }) }));
      const { worker } = await fleet.start(aDocument("a", { stopGraceSeconds: 20 }));
      const end = new AbortController();
      const drained = worker.drain(end.signal);
      await fleet.clock.advance(19_000);
      expect([fleet.engine.running(), segmentOf("a").owner]).to.deep.equal([["a"], "engine-1"]);
      end.abort();
      await fleet.clock.advance(0);
      expect(await drained).to.equal(false);
      expect(session("engine-1").state).to.equal("draining");
    });

    it("releases no segment while the list shows a container of it, though no bot of ours is in hand", async () => {
      ({ worker } = await fleet.start(aDocument("a")));
      const stopReal = fleet.engine.stop.bind(fleet.engine);
      let deaf = true;
      const [own] = await fleet.engine.list();
      fleet.engine.stop = (id, grace) =>
        deaf && id !== own?.id ? Promise.reject(new EngineUnreachableError("Cannot stop it")) : stopReal(id, grace);
      await leave("stranger", { segment: placeOf("a"), sid: "other" });
      void draining();
      await fleet.clock.advance(3_000);
      expect([fleet.engine.running(), segmentOf("a").owner]).to.deep.equal([["stranger"], "engine-1"]);
      deaf = false;
      await fleet.clock.advance(30_000);
      expect([fleet.engine.running(), segmentOf("a").owner]).to.deep.equal([[], null]);
    });

    it("releases no segment while a stop of its bot goes unanswered", async () => {
      ({ worker } = await fleet.start(aDocument("a")));
      for (let n = 0; n < 4; n++) fleet.engine.failNext("stop");
      void draining();
      await fleet.clock.advance(700);
      expect([fleet.engine.running(), segmentOf("a").owner]).to.deep.equal([["a"], "engine-1"]);
      await fleet.clock.advance(10_000);
      expect([fleet.engine.running(), segmentOf("a").owner]).to.deep.equal([[], null]);
    });

    it("releases no segment while a create is in hand, though the list shows nothing", async () => {
      const { promise: gate, resolve: open } = Promise.withResolvers<void>();
      const create = fleet.engine.create.bind(fleet.engine);
      fleet.engine.create = (order) => gate.then(() => create(order));
      ({ worker } = await fleet.start(aDocument("a")));
      void draining();
      await fleet.clock.advance(3_000);
      expect(segmentOf("a").owner).to.equal("engine-1");
      open();
      await fleet.clock.advance(5_000);
      expect([await fleet.engine.list(), segmentOf("a").owner]).to.deep.equal([[], null]);
    });

    describe("while the answer to a release is late", () => {
      const LATE_MS = 10_000;
      const slow = Array.from({ length: 100 }, (_, i) => `s${i}`).find((id) => placeOf(id) !== placeOf("a")) ?? "";

      /** Its bot "a" is gone and its segment let go of, and nobody has told us so; the other bot needs two seconds to stop. */
      async function oneIsLate(): Promise<{ readonly drained: Promise<boolean> }> {
        await fleet.end();
        fleet = new Fleet((clock) => new FakeEngine({ clock, programOf: ({ bot }) => ({ ignoresTerm: bot === slow }) }));
        ({ worker } = await fleet.start(aDocument("a"), aDocument(slow, { stopGraceSeconds: 2 })));
        const apply = fleet.store.apply.bind(fleet.store);
        let left = 1;
        fleet.store.apply = async (operation) => {
          const outcome = await apply(operation);
          if (operation.op !== "O5" || left-- < 1) return outcome;
          await fleet.clock.sleep(LATE_MS, never);
          throw new StoreUnreachableError("Cannot hear whether it was released");
        };
        const drained = draining();
        await fleet.clock.advance(1_000);
        expect([segmentOf("a").owner, segmentOf(slow).owner]).to.deep.equal([null, "engine-1"]);
        return { drained };
      }

      it("lets go of another segment as soon as that is at rest", async () => {
        await oneIsLate();
        await fleet.clock.advance(2_500);
        expect(segmentOf(slow).owner).to.equal(null);
      });

      it("leaves with a good-bye: what it did not hear of it has read", async () => {
        const { drained } = await oneIsLate();
        await fleet.clock.advance(LATE_MS);
        expect([await drained, session("engine-1").state]).to.deep.equal([true, "gone"]);
      });
    });

    it("ends a drain without a good-bye once all is stopped and the store is away", async () => {
      const { worker } = await fleet.start(aDocument("a"));
      fleet.store.goAway();
      await fleet.clock.advance(2_000);
      const drained = worker.drain(never);
      await fleet.clock.advance(5_000);
      expect(await drained).to.equal(false);
      expect(fleet.engine.running()).to.deep.equal([]);
    });

    it("drains while the engine comes and goes", async () => {
      const { worker } = await fleet.start(aDocument("a"));
      fleet.engine.goAway();
      const drained = worker.drain(never);
      await fleet.clock.advance(10_000);
      fleet.engine.comeBack();
      await fleet.clock.advance(60_000);
      expect(await drained).to.equal(true);
      expect(await fleet.engine.list()).to.deep.equal([]);
    });

    it("opens a session of another name after a clean end", async () => {
      const life = await fleet.start(aDocument("a"));
      const drained = life.worker.drain(never);
      await fleet.clock.advance(5_000);
      await drained;
      await stop(life);
      const next = await fleet.startWorker();
      await fleet.clock.advance(5_000);
      expect(next.session.sid).to.equal("engine-1/2");
      expect([fleet.engine.running(), segmentOf("a").owner]).to.deep.equal([["a"], "engine-1/2"]);
    });
  });

  describe("losing it", () => {
    const lost = (fault: unknown): unknown =>
      fault instanceof AggregateError ? fault.errors.map(lost).flat() : [fault instanceof SessionLostError ? fault.how : fault];

    for (const { how, change } of [
      { how: "ended", change: { state: "dead" } },
      { how: "replaced", change: { inc: 2 } },
    ]) {
      it(`ends with SessionLostError when its session was ${how}, and stops nothing by itself`, async () => {
        const life = await fleet.start(aDocument("a"));
        fleet.store.put("workers", { ...session("engine-1"), ...change });
        await fleet.clock.advance(3_000);
        await life.running;
        expect(lost(life.fault)).to.deep.equal([how]);
        expect(fleet.engine.running()).to.deep.equal(["a"]);
        expect(await stopAll(fleet.engine, life.session.sid)).to.equal(1);
        expect(fleet.engine.running()).to.deep.equal([]);
      });
    }

    it("kills the bots of a segment that the store has given to another", async () => {
      await fleet.start(aDocument("a"));
      await fleet.end(); // no leader that would give it back
      await fleet.startWorker();
      await fleet.clock.advance(3_000);
      const { epoch } = segmentOf("a");
      await fleet.store.apply(freeSegment(placeOf("a"), epoch));
      await fleet.clock.advance(15_000);
      expect(fleet.engine.running()).to.deep.equal([]);
      expect(fleet.store.get("placements", "a")?.["active"]).to.equal(true);
    });

    it("does not write over the status of a newer owner", async () => {
      await fleet.start(aDocument("a"));
      const newer = { _id: "a", epoch: segmentOf("a").epoch + 1, sid: "other", ...fields({ state: "running", worker: "other" }) };
      fleet.store.put("status", newer);
      fleet.engine.exit(bot("a"), 3);
      await fleet.clock.advance(3_000);
      expect(fleet.store.get("status", "a")).to.deep.equal(newer);
    });
  });
});
