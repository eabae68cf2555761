import { EventEmitter } from "node:events";
import { expect } from "chai";
import type { Sight } from "../../../src/core/election.ts";
import type { Right, Session } from "../../../src/core/session.ts";
import { KUBERNETES_TIMINGS as T } from "../../../src/core/timings.ts";
import { listenForSignals, type Signals } from "../../../src/process/signals.ts";
import { live } from "../../../src/serve/live.ts";
import type { WorkerEvents } from "../../../src/worker/events.ts";
import { HeadlessWatch } from "../../../src/worker/headless-watch.ts";
import type { Lifeline } from "../../../src/worker/lifeline.ts";
import { aSegment, aWorker, epoch, sid } from "../../support/builders.ts";
import { aDocument, placeOf } from "../../support/fleet.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { FakeEngine } from "../../support/fake-engine.ts";
import { ModelStore } from "../../support/model-store.ts";
import { aWorkerOn } from "../../support/worker.ts";

const LIMIT_MS = 60_000;

describe("serve/live: a headless worker that gives up", () => {
  let clock: FakeClock;
  let store: ModelStore;
  let engine: FakeEngine;
  let signals: Signals;
  let code: Promise<number>;
  /** How many bots run when nothing is renewed any more; absent while it is. */
  let leftAtTheEnd: number | undefined;
  /** Ends once the process does not lead. */
  let leading: Promise<void>;

  beforeEach(async () => {
    [clock, store, signals, leftAtTheEnd] = [new FakeClock(), new ModelStore(), listenForSignals(), undefined];
    engine = new FakeEngine({ clock });
    const place = placeOf("a");
    store.put("control", { _id: "fleet", owner: "us", coordination: "kubernetes", schema: 1, incarnation: "life" });
    store.put("workers", aWorker("w"));
    store.put("segments", aSegment(place, { state: "assigned", owner: sid("w"), epoch: epoch(7) }));
    store.put("placements", { _id: "a", segment: place, active: true, done: null });
    store.putBot(aDocument("a"));
    const lifeline: Lifeline = {
      sid: sid("w"),
      inc: 1,
      isDrainAsked: false,
      isDegraded: false,
      right: (): Right => "start", // by the Lease
      sawLife: () => {},
      stepDown: async () => {},
      run: (signal) =>
        new Promise((resolve) => {
          const end = (): void => ((leftAtTheEnd = engine.running().length), resolve());
          signal.addEventListener("abort", end, { once: true });
        }),
    };
    const bus = new EventEmitter<WorkerEvents>();
    const worker = aWorkerOn(
      { store, engine, lifeline, clock, bus },
      { watchesLife: true, movePatience: { announceMs: 5_000, pullMs: 20_000 } },
    );
    const found = { record: { holder: sid("leader"), leaseMs: 8_000, changes: 1 }, version: "1", reachesStore: true };
    const began = clock.mono();
    const watch = new HeadlessWatch({
      session: (): Session => ({ sid: sid("w"), inc: 1, store: { provenAt: began }, lease: { provenAt: clock.mono() } }),
      leader: (): Sight => ({ found, since: clock.mono() }),
      clock,
      timings: T,
      bus,
      limitMs: LIMIT_MS,
      giveUp: () => signals.requestStop(),
    });
    const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
    code = live({
      worker,
      left: () => leading,
      actors: [(s) => worker.run(s), (s) => watch.run(s)],
      engine,
      sid: lifeline.sid,
      signals,
      lockLost: new AbortController().signal,
      log,
      drainSeconds: 95,
      stopLimitMs: T.fenceMs,
    });
    leading = Promise.resolve();
    await clock.advance(2_000);
    store.goAway();
  });
  afterEach(async () => {
    signals.close();
    await clock.advance(60_000);
    expect(clock.sleeping).to.equal(0);
  });

  it("keeps its bots until then, stops them while its Lease is still renewed, and then its process ends with 1", async () => {
    await clock.advance(LIMIT_MS);
    expect([engine.running(), leftAtTheEnd]).to.deep.equal([["a"], undefined]);
    await clock.advance(60_000);
    expect([await code, engine.running(), leftAtTheEnd]).to.deep.equal([1, [], 0]);
  });

  it("goes on once its bots are elsewhere for as long as it leads", async () => {
    store.comeBack();
    const leads = Promise.withResolvers<void>();
    leading = leads.promise;
    signals.requestStop();
    await clock.advance(10_000);
    expect([store.get<{ owner: unknown }>("segments", placeOf("a"))?.owner, leftAtTheEnd]).to.deep.equal([null, undefined]);
    leads.resolve();
    expect([await code, leftAtTheEnd]).to.deep.equal([0, 0]);
  });

  it("hands its segments over in order when MongoDB is back before it has ended, and ends with 0", async () => {
    await clock.advance(LIMIT_MS + 5_000);
    store.comeBack();
    await clock.advance(60_000);
    expect([await code, leftAtTheEnd, store.get<{ owner: unknown }>("segments", placeOf("a"))?.owner]).to.deep.equal([0, 0, null]);
  });
});
