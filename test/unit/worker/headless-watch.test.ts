import { EventEmitter } from "node:events";
import { expect } from "chai";
import type { Sight } from "../../../src/core/election.ts";
import { after } from "../../../src/core/clock.ts";
import type { Session } from "../../../src/core/session.ts";
import { KUBERNETES_TIMINGS as T } from "../../../src/core/timings.ts";
import type { WorkerEvents } from "../../../src/worker/events.ts";
import { HeadlessWatch } from "../../../src/worker/headless-watch.ts";
import { at, sid } from "../../support/builders.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const MINUTE_MS = 60_000;

/** A leader that renews each 1.25 s for as long as it leads, and a worker whose stores answer or do not. */
describe("worker/headless-watch HeadlessWatch", () => {
  let clock: FakeClock;
  let end: AbortController;
  let running: Promise<unknown>;
  let watch: HeadlessWatch;
  let told: WorkerEvents["headless:gave-up"][0][];
  let gaveUpAt: number[];
  let stores: { mongodb: boolean; kubernetes: boolean };
  let leader: { leads: boolean; reaches: boolean };
  let session: Session;
  let sight: Sight | undefined;

  beforeEach(() => {
    [clock, end, told, gaveUpAt] = [new FakeClock(), new AbortController(), [], []];
    stores = { mongodb: true, kubernetes: true };
    leader = { leads: true, reaches: true };
    session = { sid: sid("me"), inc: 1, store: { provenAt: at(0) }, lease: { provenAt: at(0) } };
    const bus = new EventEmitter<WorkerEvents>();
    bus.on("headless:gave-up", (evidence) => told.push(evidence));
    const every = async (ms: number, act: () => void): Promise<void> => {
      for (; !end.signal.aborted; await clock.sleep(ms, end.signal).catch(() => {})) act();
    };
    const renew = (): void => {
      if (stores.mongodb) session = { ...session, store: { provenAt: clock.mono() } };
      if (stores.kubernetes) session = { ...session, lease: { provenAt: clock.mono() } };
    };
    const lead = (): void => {
      const record = { holder: sid("leader"), leaseMs: 8_000, changes: 1 };
      const found = { record, version: String(clock.mono()), reachesStore: leader.reaches };
      if (leader.leads && stores.kubernetes) sight = { found, since: clock.mono() };
    };
    watch = new HeadlessWatch({
      session: () => session,
      leader: () => sight,
      clock,
      timings: T,
      bus,
      giveUp: () => gaveUpAt.push(clock.mono()),
    });
    running = Promise.all([every(1_000, renew), every(1_250, lead), watch.run(end.signal)]);
  });
  afterEach(async () => {
    end.abort();
    await clock.advance(0);
    await running;
    expect(clock.sleeping).to.equal(0);
  });

  it("gives up once, 15 min after it was first seen to be headless, and says why", async () => {
    await clock.advance(10_000);
    stores.mongodb = false;
    await clock.advance(16 * MINUTE_MS);
    const since = 10_000;
    const first = since + T.softMs;
    expect(gaveUpAt).to.deep.equal([first + 15 * MINUTE_MS]);
    expect(told).to.deep.equal([{ headlessMs: T.softMs + 15 * MINUTE_MS, leader: "leader", vouchedMs: 15 * MINUTE_MS }]);
  });

  it("says for how long it has been headless, and 0 when it is not", async () => {
    await clock.advance(10_000);
    expect(watch.headlessMs()).to.equal(0);
    stores.mongodb = false;
    await clock.advance(5 * MINUTE_MS);
    expect(watch.headlessMs()).to.equal(5 * MINUTE_MS);
    stores.mongodb = true;
    await clock.advance(2_000);
    expect(watch.headlessMs()).to.equal(0);
  });

  for (const { why, begin } of [
    { why: "MongoDB is away for the leader, too", begin: () => void ([stores.mongodb, leader.reaches] = [false, false]) },
    { why: "nobody leads", begin: () => void ([stores.mongodb, leader.leads] = [false, false]) },
    { why: "the API server is away", begin: () => void (stores.kubernetes = false) },
    { why: "both stores are away", begin: () => void ([stores.mongodb, stores.kubernetes] = [false, false]) },
  ])
    it(`never gives up while ${why}`, async () => {
      await clock.advance(10_000);
      begin();
      await clock.advance(40 * MINUTE_MS);
      expect(gaveUpAt).to.deep.equal([]);
    });

  for (const { why, ms, breakOff, mend } of [
    {
      why: "a moment without MongoDB at the leader",
      ms: 3_000,
      breakOff: () => (leader.reaches = false),
      mend: () => (leader.reaches = true),
    },
    {
      why: "a change of leaders that takes longer than a lease",
      ms: 9_000,
      breakOff: () => (leader.leads = false),
      mend: () => (leader.leads = true),
    },
    { why: "one renewal that MongoDB confirmed", ms: 1_000, breakOff: () => (stores.mongodb = true), mend: () => (stores.mongodb = false) },
  ])
    it(`counts anew after ${why}`, async () => {
      stores.mongodb = false;
      await clock.advance(14 * MINUTE_MS);
      breakOff();
      await clock.advance(ms);
      mend();
      const mendedAt = clock.mono();
      await clock.advance(14 * MINUTE_MS);
      expect(gaveUpAt).to.deep.equal([]);
      await clock.advance(2 * MINUTE_MS);
      expect(gaveUpAt[0]).to.be.within(after(mendedAt, 15 * MINUTE_MS), after(mendedAt, 15 * MINUTE_MS + T.softMs + 2_500));
    });
});
