import { EventEmitter } from "node:events";
import { expect } from "chai";
import type { Need, RestartEvidence } from "../../../src/core/engine-restart.ts";
import { EngineUnreachableError } from "../../../src/core/errors.ts";
import type { Right } from "../../../src/core/session.ts";
import { EngineRestarts } from "../../../src/worker/engine-restarts.ts";
import type { WorkerEvents } from "../../../src/worker/events.ts";
import type { Lifeline } from "../../../src/worker/lifeline.ts";
import { aSegment, aWorker, bot, epoch, sid } from "../../support/builders.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { FakeEngine } from "../../support/fake-engine.ts";
import { aDocument, placeOf } from "../../support/fleet.ts";
import { ModelStore } from "../../support/model-store.ts";
import { aWorkerOn } from "../../support/worker.ts";

const segment = placeOf("a");

describe("worker/engine-restarts", () => {
  let clock: FakeClock;
  let store: ModelStore;
  let right: Right;
  let asked: number;
  let told: RestartEvidence[];
  let bus: EventEmitter<WorkerEvents>;
  let lifeline: Lifeline;
  let end: AbortController;
  let running: Promise<void>;

  beforeEach(() => {
    clock = new FakeClock();
    store = new ModelStore();
    store.put("control", { _id: "fleet", owner: "us", coordination: "mongo", schema: 1, incarnation: "life" });
    store.put("workers", aWorker("w"));
    own(7);
    right = "start";
    asked = 0;
    told = [];
    bus = new EventEmitter();
    bus.on("engine:restarting", (evidence) => told.push(evidence));
    lifeline = {
      sid: sid("w"),
      inc: 1,
      isDrainAsked: false,
      isDegraded: false,
      right: () => right,
      sawLife: () => {},
      restartEngine: () => void asked++,
      stepDown: async () => {},
      run: (signal) => new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true })),
    };
    end = new AbortController();
  });
  afterEach(async () => {
    end.abort();
    await clock.advance(60_000);
    await running;
    expect(clock.sleeping).to.equal(0);
  });

  const own = (n: number): void => store.put("segments", aSegment(segment, { state: "assigned", owner: sid("w"), epoch: epoch(n) }));

  describe("EngineRestarts", () => {
    const need: Need = { what: "start", segment, epoch: epoch(7), bot: bot("a") };
    let isAnswering: boolean;
    let back: number;
    let pings: number;
    let hangMs: number;
    const begin = (by: Pick<Lifeline, "sid" | "right" | "restartEngine"> = lifeline): void => {
      isAnswering = false;
      [back, pings, hangMs] = [0, 0, 5_000];
      const ping = async (): Promise<void> => {
        pings += 1;
        if (isAnswering) return;
        await clock.sleep(hangMs, end.signal).catch(() => {});
        throw new EngineUnreachableError("Cannot ping");
      };
      const restarts = new EngineRestarts({ engine: { ping }, lifeline: by, store, clock, bus, needs: () => [need], onBack: () => back++ });
      running = restarts.run(end.signal);
    };

    it("asks for a restart after 120 s without an answer, once in 15 min, with its evidence", async () => {
      begin();
      await clock.advance(119_000);
      expect(asked).to.equal(0);
      await clock.advance(1_000);
      expect([asked, told]).to.deep.equal([1, [{ silentMs: 120_000, pings: 24, need, waitedMs: 115_000, waiting: 1 }]]);
      await clock.advance(895_000);
      expect(asked).to.equal(1);
      await clock.advance(10_000);
      expect(asked).to.equal(2);
    });

    it("counts anew after an answer, and says that the engine is back", async () => {
      begin();
      await clock.advance(100_000);
      isAnswering = true;
      await clock.advance(10_000);
      isAnswering = false;
      expect(back).to.equal(1);
      await clock.advance(100_000);
      expect(asked).to.equal(0);
    });

    it("notices within half a second that the engine is back from a restart", async () => {
      begin();
      await clock.advance(121_000);
      hangMs = 0; // nobody listens while it comes up
      await clock.advance(4_500);
      isAnswering = true;
      await clock.advance(500);
      expect([asked, back]).to.deep.equal([1, 1]);
    });

    for (const { why, change, back: undo } of [
      { why: "bots may not be started", change: () => void (right = "keep"), back: () => void (right = "start") },
      { why: "the store says that the segment is another tenure's", change: () => own(8), back: () => own(7) },
      {
        why: "the store says that the segment is another's",
        change: () => store.put("segments", aSegment(segment, { state: "assigned", owner: sid("b"), epoch: epoch(7) })),
        back: () => own(7),
      },
      {
        why: "the store does not answer",
        change: () => store.goAway(),
        back: () => store.comeBack(),
      },
    ])
      it(`asks for none while ${why}`, async () => {
        begin();
        change();
        await clock.advance(300_000);
        expect([asked, told]).to.deep.equal([0, []]);
        undo();
        await clock.advance(6_000);
        expect(asked).to.equal(1);
      });

    it("asks nobody where there is no fence", async () => {
      begin({ sid: sid("w"), right: () => right });
      await clock.advance(300_000);
      expect(pings).to.equal(0);
    });
  });

  describe("Worker", () => {
    let engine: FakeEngine;
    const begin = async (isUp = true): Promise<void> => {
      store.put("placements", { _id: "a", segment, active: true, done: null });
      store.putBot(aDocument("a"));
      engine = new FakeEngine({ clock });
      if (!isUp) engine.goAway();
      running = aWorkerOn({ store, engine, lifeline, clock, bus }).run(end.signal);
      await clock.advance(3_000);
      expect(engine.running()).to.deep.equal(isUp ? ["a"] : []);
      engine.goAway();
    };
    const place = (id: string): void => {
      store.put("placements", { _id: id, segment, active: true, done: null });
      store.putBot(aDocument(id));
    };

    it("leaves a silent engine alone that nothing waits for", async () => {
      await begin();
      await clock.advance(200_000);
      expect(asked).to.equal(0);
    });

    it("leaves it alone for a document that changed: its bot runs", async () => {
      await begin();
      store.putBot(aDocument("a", { env: { VERSION: "2" } }));
      await clock.advance(200_000);
      expect(asked).to.equal(0);
    });

    it("has it restarted for a segment that it must let go of, and lets go once the engine is back", async () => {
      await begin();
      store.put("segments", aSegment(segment, { state: "revoking", owner: sid("w"), epoch: epoch(7), target: sid("b") }));
      await clock.advance(130_000);
      expect([asked, told[0]?.need]).to.deep.equal([1, { what: "stop", segment, epoch: 7 }]);
      engine.comeBack();
      await clock.advance(20_000);
      expect([engine.running(), store.get("segments", segment)]).to.deep.equal([
        [],
        aSegment(segment, { state: "free", epoch: epoch(7), target: sid("b") }),
      ]);
    });

    it("has it restarted for a bot that nobody else may start, and starts it once the engine is back", async () => {
      await begin();
      place("b");
      await clock.advance(140_000);
      expect([asked, told[0]?.need]).to.deep.equal([1, { what: "start", segment, epoch: 7, bot: "b" }]);
      engine.comeBack();
      await clock.advance(6_000);
      expect(engine.running()).to.have.members(["a", "b"]);
    });

    it("has it restarted when it never came up for a new session, under which nothing can run", async () => {
      await begin(false);
      await clock.advance(140_000);
      expect([asked, told[0]?.need]).to.deep.equal([1, { what: "start", segment, epoch: 7 }]);
    });

    it("leaves it alone when another process of this session was here before, whose bots may run", async () => {
      lifeline = { ...lifeline, inc: 2, isDegraded: false };
      await begin(false);
      await clock.advance(300_000);
      expect(asked).to.equal(0);
    });
  });
});
