import { EventEmitter } from "node:events";
import type { Worker as Thread } from "node:worker_threads";
import { expect } from "chai";
import { SessionLostError } from "../../../src/core/errors.ts";
import { afterRenewal, openSession, type Session as SessionView } from "../../../src/core/session.ts";
import { KUBERNETES_TIMINGS as T } from "../../../src/core/timings.ts";
import type { WorkerEvents } from "../../../src/worker/events.ts";
import { type FromHeartbeat, Pulse } from "../../../src/worker/heartbeat.ts";
import { LeasedLifeline } from "../../../src/worker/leased-lifeline.ts";
import type { Session } from "../../../src/worker/session.ts";
import { at, sid } from "../../support/builders.ts";
import { FakeClock } from "../../support/fake-clock.ts";

/** The thread's end of the line, as the test plays it. */
class FakeThread extends EventEmitter {
  readonly said: unknown[] = [];
  ended = 0;
  postMessage(message: unknown): void {
    this.said.push(message);
  }
  terminate(): Promise<number> {
    this.ended += 1;
    this.emit("exit", 1);
    return Promise.resolve(1);
  }
  renewed(session: SessionView, more: Partial<FromHeartbeat> = {}): void {
    this.emit("message", { session, isDrainAsked: false, ...more });
  }
}

describe("worker/leased-lifeline LeasedLifeline", () => {
  const opened = openSession(sid("a"), 1, at(0));
  let clock: FakeClock;
  let thread: FakeThread;
  let pulse: Pulse;
  let stepped: string[];
  let told: string[];
  let lifeline: LeasedLifeline;

  beforeEach(() => {
    clock = new FakeClock();
    thread = new FakeThread();
    pulse = new Pulse();
    stepped = [];
    told = [];
    const bus = new EventEmitter<WorkerEvents>();
    bus.on("session:renewed", ({ store }) => told.push(`renewed ${store}`));
    bus.on("engine:restarted", ({ tookMs }) => told.push(`restarted ${tookMs}`));
    bus.on("session:unrenewed", ({ store }) => told.push(`unrenewed ${store}`));
    const session = { sid: opened.sid, inc: 1, view: opened, stepDown: async (to: string) => void stepped.push(to) };
    const begin = () => ({ thread: thread as unknown as Thread, pulse });
    lifeline = new LeasedLifeline(session as unknown as Session, { clock, timings: T, bus, incarnation: "life", begin });
  });

  for (const { ms, gives } of [
    { ms: 0, gives: "start" },
    { ms: 2_199, gives: "start" },
    { ms: 2_200, gives: "keep" },
    { ms: 5_000, gives: "stop" },
  ])
    it(`gives the right to ${gives}, ${ms} ms after the last renewal that it knows of`, async () => {
      await clock.advance(ms);
      expect(lifeline.right()).to.equal(gives);
    });

  it("gives the right back with a renewal, and says how long it lasts", async () => {
    await clock.advance(6_000);
    thread.renewed(afterRenewal(opened, at(5_900), "won"), { tried: { store: "mongodb", reason: undefined } });
    expect([lifeline.right(), lifeline.remainingMs(), told]).to.deep.equal(["start", 6_900, ["renewed mongodb"]]);
    thread.renewed(opened, { tried: { store: "mongodb", reason: "away" } });
    thread.renewed(opened, { tried: { store: "kubernetes", reason: undefined } });
    // MongoDB is away still, whatever the other store says.
    expect(told.slice(1)).to.deep.equal(["unrenewed mongodb", "renewed kubernetes"]);
  });

  for (const how of ["ended", "replaced"] as const)
    it(`ends with SessionLostError when the session was ${how}, with its thread`, async () => {
      const running = lifeline.run(new AbortController().signal, () => true).catch((error: unknown) => error);
      thread.renewed({ ...opened, lost: how });
      const fault = await running;
      expect(fault).to.be.instanceOf(SessionLostError).with.property("how", how);
      expect([lifeline.right(), lifeline.remainingMs(), thread.ended]).to.deep.equal(["stop", 0, 1]);
    });

  it("is not lost when a renewal finds that we ourselves have left", async () => {
    await lifeline.stepDown("gone");
    const end = new AbortController();
    const running = lifeline
      .run(end.signal, () => true)
      .then(
        () => "in peace",
        (error: unknown) => error,
      );
    thread.renewed({ ...opened, lost: "ended" });
    await clock.advance(0);
    end.abort();
    expect(await running).to.equal("in peace");
    expect([stepped, thread.ended]).to.deep.equal([["gone"], 1]);
  });

  it("is lost when the database begins another life, and stays so whatever the thread says late", async () => {
    lifeline.sawLife("life");
    expect(lifeline.right()).to.equal("start");
    lifeline.sawLife(undefined);
    thread.renewed(afterRenewal(opened, at(1), "won"));
    expect(lifeline.right()).to.equal("stop");
  });

  for (const { why, what } of [
    { why: "fails", what: () => thread.emit("error", new Error("no such file")) },
    { why: "ends without a word", what: () => thread.emit("exit", 0) },
  ])
    it(`ends when the thread ${why}: nobody would renew`, async () => {
      const running = lifeline
        .run(new AbortController().signal, () => true)
        .then(
          () => "went on",
          (error: Error) => error.message,
        );
      what();
      expect(await running).to.match(/no such file|the heartbeat thread has ended/);
    });

  it("beats while the process's own loops come round, and no longer", async () => {
    let isAlive = true;
    const end = new AbortController();
    const running = lifeline.run(end.signal, () => isAlive);
    await clock.advance(3_500);
    expect(pulse.ageMs(clock.mono())).to.equal(500);
    isAlive = false;
    await clock.advance(5_000);
    expect(pulse.ageMs(clock.mono())).to.equal(5_500);
    end.abort();
    await running;
    expect([thread.ended, clock.sleeping]).to.deep.equal([1, 0]);
  });

  it("has the thread restart the engine, and hears of the end of it without taking that for a renewal", async () => {
    lifeline.restartEngine();
    thread.renewed(opened, { restartMs: 700 });
    expect([thread.said, told]).to.deep.equal([[{ kind: "restart-engine" }], ["restarted 700"]]);
  });

  it("tells the thread that it drains before it says so itself, for every later renewal must repeat it", async () => {
    await lifeline.stepDown("draining");
    expect([thread.said, stepped]).to.deep.equal([[{ kind: "drain" }], ["draining"]]);
  });
});
