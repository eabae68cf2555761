import { EventEmitter } from "node:events";
import { expect } from "chai";
import type { LeaseWrite } from "../../../src/core/lease.ts";
import { MONGO_TIMINGS as T } from "../../../src/core/timings.ts";
import type { LeaderEvents } from "../../../src/leader/events.ts";
import { Sessions } from "../../../src/leader/sessions.ts";
import { aWorker, sid } from "../../support/builders.ts";
import { aPod, FakeCluster } from "../../support/fake-cluster.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { ModelStore } from "../../support/model-store.ts";

const FLEET = { _id: "fleet", owner: "us", coordination: "mongo", schema: 1, incarnation: "life" };

describe("leader/sessions Sessions", () => {
  let clock: FakeClock;
  let store: ModelStore;
  let sessions: Sessions;
  let end: AbortController;
  let running: Promise<void>;
  let ended: string[];

  beforeEach(() => {
    [clock, store, end, ended] = [new FakeClock(), new ModelStore(), new AbortController(), []];
    const bus = new EventEmitter<LeaderEvents>();
    bus.on("session:ended", (told) => ended.push(`${told.sid} @${clock.mono()}`));
    store.put("control", { ...FLEET, settled: true });
    store.put("workers", aWorker("silent"));
    sessions = new Sessions({ store, clock, timings: T, bus, self: sid("me"), incarnation: "life" });
    running = sessions.run(() => void sessions.endSilent().catch(() => {}), end.signal);
  });
  afterEach(async () => {
    end.abort();
    await running;
    expect(clock.sleeping).to.equal(0);
  });

  it("ends a silent session exactly at L, and not before", async () => {
    await clock.advance(T.endMs - 1);
    expect(ended).to.deep.equal([]);
    await clock.advance(1);
    expect(ended).to.deep.equal([`silent @${T.endMs}`]);
  });

  it("ends a session once, however often it is asked before the next look", async () => {
    await clock.advance(T.endMs);
    await sessions.endSilent();
    await sessions.endSilent();
    expect(ended).to.deep.equal([`silent @${T.endMs}`]);
  });

  it("ends all at once that were silent for as long: a write that hangs holds up none of the others", async () => {
    store.put("workers", aWorker("too"));
    const apply = store.apply.bind(store);
    store.apply = (operation) => (operation.id === "silent" ? new Promise<never>(() => {}) : apply(operation));
    await clock.advance(T.endMs + 1);
    expect(ended).to.deep.equal([`too @${T.endMs}`]);
  });

  it("ends nobody in another life of the database", async () => {
    store.put("control", { ...FLEET, incarnation: "another", settled: true });
    await clock.advance(3 * T.endMs);
    expect([ended, sessions.isSettled()]).to.deep.equal([[], false]);
  });

  it("settles a fresh database after L, and remembers it there", async () => {
    store.put("control", FLEET);
    await clock.advance(T.endMs - 1);
    expect(sessions.isSettled()).to.equal(false);
    await clock.advance(1_001);
    expect([sessions.isSettled(), store.get<{ settled?: boolean }>("control", "fleet")?.settled]).to.deep.equal([true, true]);
  });

  it("forgets silences after an outage of three looks", async () => {
    await clock.advance(10_500);
    store.goAway();
    await clock.advance(3_000);
    expect(sessions.hasFailed).to.equal(true);
    store.comeBack();
    await clock.advance(T.endMs - 500);
    expect([ended, sessions.hasFailed]).to.deep.equal([[], false]);
    await clock.advance(1_500);
    expect(ended.length).to.equal(1);
  });

  it("does not stand for election while it has lost sight of the books: it could not lead, and would keep others from it", async () => {
    const isBarred = (): boolean => sessions.fitness(null, { isDraining: false, isIdle: true }).isBarred;
    await clock.advance(1_500);
    store.goAway();
    await clock.advance(1_000);
    expect(isBarred()).to.equal(false);
    await clock.advance(2_000);
    expect(isBarred()).to.equal(true);
    store.comeBack();
    await clock.advance(1_000);
    expect(isBarred()).to.equal(false);
  });

  it("steps back as a fresh candidate only for one who has lived for long enough to have watched: in a rollout there may be none", async () => {
    const isFresh = (): boolean => sessions.fitness(null, { isDraining: false, isIdle: true }).isFresh;
    const meet = async (id: string, over: Parameters<typeof aWorker>[1]): Promise<boolean> => {
      store.put("workers", aWorker(id, over));
      await clock.advance(1_000);
      return isFresh();
    };
    expect(await meet("young", { hbSeq: 5 })).to.equal(false);
    expect(await meet("old", { hbSeq: 30 })).to.equal(true);
    expect(await meet("old", { hbSeq: 31, state: "draining" })).to.equal(false);
  });

  it("steps back after an outage only for one who has renewed through it, or has renewed for L since: nobody else has watched for longer", async () => {
    const isFresh = (): boolean => sessions.fitness(null, { isDraining: false, isIdle: true }).isFresh;
    const pass = async (id: string, from: number, seconds: number): Promise<void> => {
      for (let n = 1; n <= seconds; n++) {
        store.put("workers", aWorker(id, { hbSeq: from + n }));
        await clock.advance(1_000);
      }
    };
    await pass("old", 0, 25);
    store.goAway();
    await clock.advance(20_000);
    store.comeBack();
    await pass("old", 25, 2);
    expect(isFresh()).to.equal(false);
    store.goAway();
    await pass("old", 27, 20); // it reaches what we do not
    store.comeBack();
    await clock.advance(1_000);
    expect(isFresh()).to.equal(true);
  });

  it("steps back for no process that has only just begun, however old its session is", async () => {
    const meet = async (over: Parameters<typeof aWorker>[1]): Promise<boolean> => {
      store.put("workers", aWorker("old", over));
      await clock.advance(1_000);
      return sessions.fitness(null, { isDraining: false, isIdle: true }).isFresh;
    };
    expect(await meet({ hbSeq: 30 })).to.equal(true);
    expect(await meet({ hbSeq: 31, inc: 2 })).to.equal(false);
  });

  it("calls only those seasoned that have lived for L under its eyes, in one process", async () => {
    let seq = 0;
    const renew = (id: string, inc = 1): void => store.put("workers", aWorker(id, { inc, hbSeq: ++seq }));
    const pass = async (seconds: number, ...alive: readonly [string, number][]): Promise<void> => {
      for (let n = 0; n < seconds; n++) {
        for (const [id, inc] of alive) renew(id, inc);
        await clock.advance(1_000);
      }
    };
    await pass(21, ["silent", 1], ["other", 1]);
    await pass(2, ["silent", 1], ["other", 2], ["late", 1]);
    expect([...sessions.seasoned()]).to.deep.equal(["silent"]);
    await pass(20, ["silent", 1], ["other", 2], ["late", 1]);
    expect([...sessions.seasoned()].toSorted()).to.deep.equal(["late", "other", "silent"]);
  });

  it("gives nothing to who has missed renewals for S, nor to who has lost its Docker Engine", async () => {
    store.put("workers", aWorker("degraded", { degraded: true }));
    await clock.advance(1);
    expect([...sessions.suspects()]).to.deep.equal(["degraded"]);
    await clock.advance(T.softMs);
    expect([...sessions.suspects()]).to.have.members(["silent", "degraded"]);
  });

  it("gives nothing to who is about to be ended, whether or not it has heard of that", async () => {
    const cluster = new FakeCluster();
    cluster.add(aPod("goes", { isTerminating: true }), aPod("stays"));
    for (const name of ["goes", "stays"]) store.put("workers", aWorker(aPod(name).uid));
    const own = new Sessions({ store, clock, timings: T, bus: new EventEmitter(), self: sid("me"), incarnation: "life", cluster });
    const looking = own.run(() => {}, end.signal);
    await clock.advance(1);
    expect([...own.suspects()]).to.deep.equal([aPod("goes").uid]);
    end.abort();
    await looking;
  });

  it("marks all Leases of another life at the same time: each must be marked for L before anything is given away", async () => {
    const asked: string[] = [];
    const cluster = {
      leases: () =>
        new Map(
          ["one", "two"].map((id) => [sid(id), { lease: { sid: sid(id), inc: 1, incarnation: "past", revoked: false }, version: "1" }]),
        ),
      pods: () => [],
      writeLease: (write: LeaseWrite) => {
        asked.push(`${write.sid} ${write.put.revoked}`);
        return new Promise<never>(() => {});
      },
    };
    const own = new Sessions({ store, clock, timings: T, bus: new EventEmitter(), self: sid("me"), incarnation: "life", cluster });
    const looking = own.run(() => void own.endSilent(), end.signal);
    await clock.advance(1);
    expect(asked).to.deep.equal(["one true", "two true"]);
    end.abort();
    await looking;
  });

  it("tells who lives by its Lease alone, and since when, by the same second at each look", async () => {
    let version = 0;
    const lease = { sid: sid("silent"), inc: 1, incarnation: "life", revoked: false };
    const leases = () => new Map([[sid("silent"), { lease, version: String(++version) }]]);
    const cluster = { leases, pods: () => [], writeLease: () => Promise.reject(new Error("nobody is ended")) };
    const own = new Sessions({ store, clock, timings: T, bus: new EventEmitter(), self: sid("me"), incarnation: "life", cluster });
    const looking = own.run(() => {}, end.signal);
    const since = new Date(Math.round(clock.wall().getTime() / 1_000) * 1_000);
    await clock.advance(T.softMs - 1);
    expect(own.headless()).to.deep.equal([]);
    for (const ms of [1, 500, 700, 10_000]) {
      await clock.advance(ms);
      expect(own.headless()).to.deep.equal([{ sid: "silent", since }]);
    }
    store.put("workers", aWorker("silent", { hbSeq: 7 }));
    await clock.advance(1_000);
    expect(own.headless()).to.deep.equal([]);
    end.abort();
    await looking;
  });

  it("counts nobody's silence through an outage of its own", async () => {
    await clock.advance(T.endMs - 2_000);
    store.goAway();
    await clock.advance(4_000);
    expect(sessions.hasFailed).to.equal(true);
    store.comeBack();
    await clock.advance(T.endMs - 1_500);
    expect([ended, sessions.hasFailed]).to.deep.equal([[], false]);
    await clock.advance(2_500);
    expect(ended).to.have.length(1);
  });
});
