import { expect } from "chai";
import type { MonoMs } from "../../../src/core/clock.ts";
import { StoreUnreachableError } from "../../../src/core/errors.ts";
import { askToDrain, endSession } from "../../../src/core/operations.ts";
import type { WorkerRecord } from "../../../src/core/records.ts";
import { openSession } from "../../../src/core/session.ts";
import { KUBERNETES_TIMINGS as T } from "../../../src/core/timings.ts";
import { Bell } from "../../../src/process/bell.ts";
import { type FromHeartbeat, keepAlive, Pulse } from "../../../src/worker/heartbeat.ts";
import { at, aWorker, sid } from "../../support/builders.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { ModelStore } from "../../support/model-store.ts";

describe("worker/heartbeat keepAlive()", () => {
  let clock: FakeClock;
  let store: ModelStore;
  let pulse: Pulse;
  let told: FromHeartbeat[];
  /** Deadlines that the fence heard of, and when. */
  let fence: { readonly deadline: number; readonly at: number }[];
  let isDraining: boolean;
  let restartAsked: Bell;
  let kills: number;
  /** What the fence says once nothing runs. */
  let down: PromiseWithResolvers<void>;
  let end: AbortController;
  let running: Promise<void>;

  const record = (): WorkerRecord => store.get<WorkerRecord>("workers", "a") as WorkerRecord;
  const begin = (): void => {
    running = keepAlive(
      openSession(sid("a"), 1, at(0)),
      {
        store,
        clock,
        timings: T,
        pulse,
        isDraining: () => isDraining,
        tellFence: ({ deadline, reading }) => fence.push({ deadline, at: reading }),
        restartAsked,
        killAll: async () => {
          kills += 1;
          fence.push({ deadline: clock.mono(), at: clock.mono() });
          await down.promise;
        },
        tell: (message) => told.push(message),
      },
      end.signal,
    );
  };

  beforeEach(() => {
    clock = new FakeClock();
    store = new ModelStore();
    store.put("workers", aWorker("a", { inc: 1, hbSeq: 0 }));
    pulse = new Pulse();
    told = [];
    fence = [];
    isDraining = false;
    restartAsked = new Bell();
    kills = 0;
    down = Promise.withResolvers();
    end = new AbortController();
  });
  afterEach(async () => {
    end.abort();
    await clock.advance(0);
    await running;
    expect(clock.sleeping).to.equal(0);
  });

  it("renews once each second, and tells the fence what each renewal bears", async () => {
    begin();
    await clock.advance(3_500);
    expect(record().hbSeq).to.equal(4);
    expect(fence.map((f) => f.deadline)).to.deep.equal([7_000, 7_000, 8_000, 9_000, 10_000]);
  });

  it("counts from the sending, however late the answer comes", async () => {
    store.before("apply", () => clock.sleep(700, end.signal));
    begin();
    await clock.advance(700);
    expect(fence.at(-1)).to.deep.equal({ deadline: 7_000, at: 700 });
  });

  it("tells the fence nothing new without an answer, though the renewal may have landed", async () => {
    begin();
    await clock.advance(1_500);
    store.loseReply("apply");
    store.loseReply("apply");
    await clock.advance(2_000);
    expect(record().hbSeq).to.equal(4);
    expect(fence.at(-1)?.deadline).to.equal(8_000);
    expect(told.at(-1)?.tried).to.deep.equal({ store: "mongodb", reason: "Cannot apply: the reply was lost" });
  });

  it("goes on when the store comes back", async () => {
    begin();
    store.goAway();
    await clock.advance(5_000);
    store.comeBack();
    await clock.advance(1_000);
    expect([record().hbSeq > 0, told.at(-1)?.session.lost]).to.deep.equal([true, undefined]);
  });

  it("renews nothing while the main loop is silent for 10 s, and again when it is back", async () => {
    begin();
    await clock.advance(9_900);
    const before = record().hbSeq;
    await clock.advance(5_000);
    expect(record().hbSeq).to.be.at.most(before + 1);
    pulse.beat(clock.mono());
    await clock.advance(1_000);
    expect(record().hbSeq).to.be.above(before);
  });

  it("ends when the session was ended, and tells the fence nothing any more", async () => {
    begin();
    await clock.advance(1_500);
    await store.apply(endSession(sid("a"), record().hbSeq));
    const heard = fence.length;
    await clock.advance(5_000);
    await running;
    expect([told.at(-1)?.session.lost, fence.length]).to.deep.equal(["ended", heard]);
  });

  it("ends as replaced when a newer process goes on with the session", async () => {
    begin();
    await clock.advance(500);
    store.put("workers", { ...record(), inc: 2 });
    await clock.advance(1_000);
    expect(told.at(-1)?.session.lost).to.equal("replaced");
  });

  it("ends when its counter went back: the record is of a restored dump", async () => {
    begin();
    await clock.advance(4_500);
    store.put("workers", { ...record(), hbSeq: 1 });
    await clock.advance(1_000);
    expect(told.at(-1)?.session.lost).to.equal("ended");
  });

  describe("asked to restart the engine", () => {
    const deadlines = (): number[] => fence.map((f) => f.deadline);

    it("keeps renewing and keeps the deadlines back until nothing runs, and then tells the fence the last one", async () => {
      begin();
      await clock.advance(1_500);
      expect(deadlines()).to.deep.equal([7_000, 7_000, 8_000]);
      restartAsked.ring();
      await clock.advance(3_000);
      expect([record().hbSeq, kills, deadlines().slice(3)]).to.deep.equal([5, 1, [1_500]]);
      down.resolve();
      await clock.advance(0);
      expect([deadlines().slice(4), told.at(-1)?.restartMs]).to.deep.equal([[11_000], 3_000]);
      await clock.advance(1_000);
      expect(deadlines().slice(5)).to.deep.equal([12_000]);
    });

    it("lets nothing come up again for a session that was lost meanwhile", async () => {
      begin();
      await clock.advance(1_500);
      restartAsked.ring();
      await clock.advance(200);
      await store.apply(endSession(sid("a"), record().hbSeq));
      await clock.advance(1_000);
      down.resolve();
      await clock.advance(1_000);
      expect([told.at(-1)?.session.lost, deadlines().slice(3)]).to.deep.equal(["ended", [1_500]]);
    });

    it("writes no deadline that no renewal bears, though the store is away when nothing runs any more", async () => {
      begin();
      await clock.advance(1_500);
      store.before("apply", () => clock.sleep(600_000, end.signal));
      restartAsked.ring();
      await clock.advance(5_000);
      down.resolve();
      await clock.advance(0);
      expect(deadlines().slice(3)).to.deep.equal([1_500, 8_000]);
    });
  });

  it("says with each renewal that it drains", async () => {
    begin();
    isDraining = true;
    await clock.advance(1_500);
    store.put("workers", { ...record(), state: "up" }); // a write of long ago lands now
    await clock.advance(1_000);
    expect(record().state).to.equal("draining");
  });

  it("says with each renewal whether its engine is out of reach", async () => {
    begin();
    pulse.isDegraded = true;
    await clock.advance(1_500);
    expect(record().degraded).to.equal(true);
    pulse.isDegraded = false;
    await clock.advance(1_000);
    expect(record().degraded).to.equal(false);
  });

  it("hears with a renewal that an operator wants it empty", async () => {
    begin();
    await clock.advance(500);
    await store.apply(askToDrain(sid("a")));
    expect(told.at(-1)?.isDrainAsked).to.equal(false);
    await clock.advance(1_000);
    expect(told.at(-1)?.isDrainAsked).to.equal(true);
  });

  it("does not hide a fault that does not pass", async () => {
    store.failNext("apply", new TypeError("boom"));
    begin();
    const fault = await Promise.race([running.catch((error: unknown) => error), clock.advance(2_000)]);
    expect(String((fault as AggregateError).errors)).to.include("boom");
    running = Promise.resolve();
  });

  it("knows a passing fault by its class", async () => {
    store.failNext("apply", new StoreUnreachableError("away"));
    begin();
    await clock.advance(1_500);
    expect(told.map((m) => m.tried?.reason)).to.deep.equal([undefined, "away", undefined]);
  });

  it("gives the age of the main loop's last beat", () => {
    pulse.beat(5_000 as MonoMs);
    expect(new Pulse(pulse.memory).ageMs(7_000 as MonoMs)).to.equal(2_000);
  });
});
