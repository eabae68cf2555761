import { EventEmitter } from "node:events";
import { expect } from "chai";
import type { Right } from "../../../src/core/session.ts";
import type { WorkerEvents } from "../../../src/worker/events.ts";
import type { Lifeline } from "../../../src/worker/lifeline.ts";
import type { Worker, WorkerOptions } from "../../../src/worker/worker.ts";
import { aSegment, aWorker, epoch, sid } from "../../support/builders.ts";
import { aDocument, placeOf } from "../../support/fleet.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { FakeEngine } from "../../support/fake-engine.ts";
import { ModelStore } from "../../support/model-store.ts";
import { aWorkerOn } from "../../support/worker.ts";

/** A life-line whose right the test sets. */
class FakeLifeline implements Lifeline {
  readonly sid = sid("w");
  readonly inc = 1;
  isDrainAsked = false;
  isDegraded = false;
  now: Right = "start";
  readonly said: string[] = [];
  readonly lives: (string | undefined)[] = [];
  right(): Right {
    return this.now;
  }
  sawLife(incarnation: string | undefined): void {
    this.lives.push(incarnation);
  }
  async stepDown(to: "draining" | "gone"): Promise<void> {
    this.said.push(to);
  }
  run(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  }
}

describe("worker/worker: by what right", () => {
  const segment = placeOf("a");
  let clock: FakeClock;
  let store: ModelStore;
  let engine: FakeEngine;
  let lifeline: FakeLifeline;
  let told: string[];
  let isSteady: boolean;
  let worker: Worker;
  let end: AbortController;
  let running: Promise<void>;

  function begin(over: Partial<WorkerOptions> = {}): void {
    const bus = new EventEmitter<WorkerEvents>();
    for (const name of ["right:over", "right:back", "bot:stopped", "drain:asked", "segment:released"] as const)
      bus.on(name, () => told.push(name));
    const parts = { store, engine, lifeline, clock, bus };
    worker = aWorkerOn(parts, { isFenceSteady: () => isSteady, watchesLife: true, ...over });
    running = worker.run(end.signal);
  }

  beforeEach(() => {
    clock = new FakeClock();
    store = new ModelStore();
    engine = new FakeEngine({ clock });
    lifeline = new FakeLifeline();
    told = [];
    isSteady = true;
    end = new AbortController();
    store.put("control", { _id: "fleet", owner: "us", coordination: "mongo", schema: 1, incarnation: "life" });
    store.put("workers", aWorker("w"));
    store.put("segments", aSegment(segment, { state: "assigned", owner: sid("w"), epoch: epoch(7) }));
    store.put("placements", { _id: "a", segment, active: true, done: null });
    store.putBot(aDocument("a"));
  });
  afterEach(async () => {
    end.abort();
    await clock.advance(60_000);
    await running;
  });

  it("starts nothing without the right to, and starts at once when it comes", async () => {
    lifeline.now = "keep";
    begin();
    await clock.advance(5_000);
    expect(engine.running()).to.deep.equal([]);
    lifeline.now = "start";
    await clock.advance(500);
    expect(engine.running()).to.deep.equal(["a"]);
  });

  it("starts nothing while the fence reads another time, and starts at once when it agrees", async () => {
    isSteady = false;
    begin();
    await clock.advance(5_000);
    expect(engine.running()).to.deep.equal([]);
    isSteady = true;
    await clock.advance(500);
    expect(engine.running()).to.deep.equal(["a"]);
  });

  it("stops its bots when the right ends, and goes on with them when it is back", async () => {
    begin();
    await clock.advance(2_000);
    lifeline.now = "keep";
    await clock.advance(2_000);
    expect([engine.running(), told]).to.deep.equal([["a"], []]);
    lifeline.now = "stop";
    await clock.advance(11_000);
    expect([engine.running(), told]).to.deep.equal([[], ["right:over", "bot:stopped"]]);
    lifeline.now = "start";
    await clock.advance(2_000);
    expect([engine.running(), told.at(-1)]).to.deep.equal([["a"], "right:back"]);
  });

  it("says that its engine is silent after 20 s, keeps what it has, and takes it back with the first answer", async () => {
    begin();
    await clock.advance(2_000);
    for (let i = 0; i < 4; i++) engine.failNext("list");
    await clock.advance(19_000);
    expect(lifeline.isDegraded).to.equal(false);
    await clock.advance(10_000);
    expect([lifeline.isDegraded, engine.running()]).to.deep.equal([true, ["a"]]);
    await clock.advance(30_000);
    expect([lifeline.isDegraded, engine.running()]).to.deep.equal([false, ["a"]]);
  });

  it("reads with its segments which life the database is in", async () => {
    begin();
    await clock.advance(1_500);
    store.put("control", { _id: "fleet", owner: "us", coordination: "mongo", schema: 1, incarnation: "other" });
    await clock.advance(1_000);
    expect(lifeline.lives).to.include.members(["life", "other"]);
  });

  it("empties itself when an operator asks, stays up, and starts nothing", async () => {
    begin();
    await clock.advance(2_000);
    lifeline.isDrainAsked = true;
    await clock.advance(15_000);
    expect([engine.running(), lifeline.said, worker.isIdle, worker.draining.aborted]).to.deep.equal([[], ["draining"], true, true]);
    store.put("segments", aSegment(segment, { state: "assigned", owner: sid("w"), epoch: epoch(9) }));
    await clock.advance(15_000);
    expect(engine.running()).to.deep.equal([]);
    expect(told.filter((name) => name === "segment:released")).to.have.length(2);
  });

  describe("draining with others about", () => {
    const movePatience = { announceMs: 5_000, pullMs: 20_000 };
    const drain = async (): Promise<void> => {
      begin({ movePatience });
      await clock.advance(2_000);
      void worker.drain(end.signal).catch(() => {});
    };

    it("runs on until another worker is announced in vain, and then lets go", async () => {
      await drain();
      await clock.advance(4_500);
      expect(engine.running()).to.deep.equal(["a"]);
      await clock.advance(12_000);
      expect([engine.running(), worker.isIdle]).to.deep.equal([[], true]);
    });

    it("runs on while the announced target gets ready, and stops when it is told to", async () => {
      await drain();
      store.put("segments", aSegment(segment, { state: "assigned", owner: sid("w"), epoch: epoch(7), target: sid("b") }));
      await clock.advance(15_000);
      expect(engine.running()).to.deep.equal(["a"]);
      store.put("segments", aSegment(segment, { state: "revoking", owner: sid("w"), epoch: epoch(7), target: sid("b") }));
      await clock.advance(11_000);
      expect([engine.running(), store.get("segments", segment)]).to.deep.equal([
        [],
        aSegment(segment, { state: "free", epoch: epoch(7), target: sid("b") }),
      ]);
    });

    it("waits no longer than it may while MongoDB is away, and then stops its bots: nobody can be announced", async () => {
      await drain();
      store.goAway();
      await clock.advance(19_000);
      expect(engine.running()).to.deep.equal(["a"]);
      await clock.advance(14_000);
      expect(engine.running()).to.deep.equal([]);
    });

    it("waits no longer than it may for a target that does not get ready", async () => {
      await drain();
      store.put("segments", aSegment(segment, { state: "assigned", owner: sid("w"), epoch: epoch(7), target: sid("b") }));
      await clock.advance(33_000);
      expect([engine.running(), worker.isIdle]).to.deep.equal([[], true]);
    });
  });

  it("gets the images of a segment that will come, and says once that it is ready", async () => {
    store.put("segments", aSegment(segment, { state: "assigned", owner: sid("b"), epoch: epoch(7), target: sid("w") }));
    begin();
    await clock.advance(3_000);
    expect(store.get("segments", segment)).to.deep.include({ owner: "b", ready: 7 });
    expect(store.applied.filter(({ operation }) => operation.op === "ready")).to.have.length(1);
    expect(engine.running()).to.deep.equal([]);
  });

  it("tries again for images while the engine is only coming up", async () => {
    engine.failNext("ensureImage");
    store.put("segments", aSegment(segment, { state: "assigned", owner: sid("b"), epoch: epoch(7), target: sid("w") }));
    begin();
    await clock.advance(3_000);
    expect(store.get("segments", segment)).to.deep.include({ ready: 7 });
  });
});
