import { EventEmitter } from "node:events";
import { expect } from "chai";
import { electionTimings, type Fitness } from "../../../src/core/election.ts";
import { LeadershipStuckError } from "../../../src/core/errors.ts";
import { Elector } from "../../../src/leader/elector.ts";
import type { LeaderEvents } from "../../../src/leader/events.ts";
import { drainPatience } from "../../../src/worker/segments.ts";
import { sid } from "../../support/builders.ts";
import { FakeClock, settle } from "../../support/fake-clock.ts";
import { ModelElection } from "../../support/model-election.ts";

const T = electionTimings(1_000);
const FIT: Fitness = { isBarred: false, isBusy: false, isFresh: false };

/** Ends when it is told to, after `endMs`. */
type Work = { endMs: number; endsBy: AbortController };

describe("leader/elector Elector", () => {
  let clock: FakeClock;
  let election: ModelElection;
  /** Who began and ended its work, and when. */
  let told: string[];
  const leaders = () => told.filter((line) => line.includes("leads"));
  let running: { end: AbortController; ended: Promise<unknown> }[];
  const bus = () => {
    const made = new EventEmitter<LeaderEvents>();
    made.on("leader:seen", ({ holder }) => told.push(`saw ${holder} @${clock.mono()}`));
    return made;
  };

  beforeEach(() => {
    clock = new FakeClock();
    election = new ModelElection();
    told = [];
    running = [];
  });
  afterEach(async () => {
    election.release();
    for (const { end } of running) end.abort();
    await clock.advance(60_000);
    await Promise.all(running.map(({ ended }) => ended));
    expect(clock.sleeping).to.equal(0);
  });

  function start(name: string, { timings = T, jitter = 0, ...over }: { timings?: typeof T; jitter?: number } & Partial<Work> = {}) {
    const own = { fitness: { ...FIT }, work: { endMs: 0, endsBy: new AbortController(), ...over } };
    const fitness = () => own.fitness;
    const random = () => jitter;
    const elector = new Elector({ election, clock, random, timings, self: sid(name), fitness, bus: bus() });
    const end = new AbortController();
    const lead = async (signal: AbortSignal): Promise<void> => {
      told.push(`${name} leads @${clock.mono()}`);
      own.work.endsBy = new AbortController();
      await clock.sleep(1e9, AbortSignal.any([signal, own.work.endsBy.signal])).catch(() => {});
      if (own.work.endMs > 0) await clock.sleep(own.work.endMs, new AbortController().signal);
      told.push(`${name} ended @${clock.mono()}`);
    };
    const ended = elector.run(lead, end.signal).catch((error: unknown) => error);
    running.push({ end, ended });
    return Object.assign(own, { end, ended, look: () => elector.look() });
  }

  it("takes a free lease at once, and renews it at its pace", async () => {
    start("a");
    await clock.advance(3_800);
    expect(told).to.deep.equal(["a leads @0"]);
    expect(election.written).to.deep.equal(["a", "a", "a", "a"]); // at 0, 1.25, 2.5 and 3.75 s
  });

  it("takes one in its own name at once: of a process that is no more", async () => {
    election.put({ holder: sid("a"), leaseMs: T.leaseMs, changes: 1 });
    start("a");
    await clock.advance(100);
    expect(leaders()).to.deep.equal(["a leads @0"]);
    expect((await election.read())?.record.changes).to.equal(1);
  });

  for (const leaseMs of [8_000, 20_000])
    it(`waits for a silent holder on its own clock, for the ${leaseMs} ms that the record says`, async () => {
      election.put({ holder: sid("dead"), leaseMs, changes: 1 });
      start("a");
      await clock.advance(leaseMs - 1);
      expect(told).to.deep.equal(["saw dead @0"]);
      await clock.advance(1);
      expect(told).to.deep.equal(["saw dead @0", `a leads @${leaseMs}`]);
    });

  it("does not take it from one that renews", async () => {
    start("a");
    await clock.advance(0);
    start("b");
    await clock.advance(60_000);
    expect(told).to.deep.equal(["a leads @0", "saw a @0"]);
  });

  it("gives it up after the work has ended, and in that order; another takes it with its next look", async () => {
    const { end } = start("a", { endMs: 500 });
    await clock.advance(100);
    start("b");
    await clock.advance(2_000);
    end.abort();
    await clock.advance(499);
    expect([election.holder, told.length]).to.deep.equal(["a", 2]);
    await clock.advance(2_000);
    expect(told.slice(2)).to.deep.equal(["a ended @2600", "b leads @3100"]);
  });

  it("takes it at once when it is told that there is something to see", async () => {
    const { end } = start("a");
    await clock.advance(100);
    const b = start("b");
    await clock.advance(2_050);
    end.abort();
    await clock.advance(10);
    b.look();
    await clock.advance(1);
    expect(told.slice(2)).to.deep.equal(["a ended @2150", "b leads @2160"]);
  });

  it("takes it as soon as it may, not with the look after that", async () => {
    const a = start("a");
    await clock.advance(100);
    const b = start("b");
    b.fitness = { ...FIT, isBusy: true };
    await clock.advance(2_000);
    a.fitness = { ...FIT, isBarred: true };
    a.work.endsBy.abort();
    await clock.advance(5_000);
    expect(leaders()).to.deep.equal(["a leads @0", "b leads @4600"]); // seen at 3,100, and a step of 1,500 back
  });

  it("loses it to a write of somebody else at the next renewal, and leaves the other's as it is", async () => {
    start("a");
    await clock.advance(1_500);
    election.put({ holder: sid("b"), leaseMs: T.leaseMs, changes: 2 });
    await clock.advance(1_000);
    expect(told.slice(0, 2)).to.deep.equal(["a leads @0", "a ended @2500"]);
    expect(election.holder).to.equal("b");
  });

  it("goes on when the reply to its renewal is lost, and when a renewal fails", async () => {
    start("a");
    await clock.advance(500);
    election.fault("reply lost", "fails", "reply lost", "fails");
    await clock.advance(20_000);
    expect(told).to.deep.equal(["a leads @0"]);
  });

  it("leads after the reply to its first write was lost", async () => {
    election.fault("reply lost");
    start("a");
    await clock.advance(1_100);
    expect(told.at(-1)).to.equal("a leads @1000");
  });

  it("ends its work at its deadline, counted from the sending, while nothing gets through", async () => {
    start("a");
    await clock.advance(2_500);
    election.isAway = true;
    await clock.advance(10_000);
    expect(told).to.deep.equal(["a leads @0", "a ended @7500"]);
    election.isAway = false;
    await clock.advance(1_000);
    expect(told.at(-1)).to.contain("a leads @");
  });

  it("ends its work at its deadline also while a write hangs, before another may begin", async () => {
    start("a");
    await clock.advance(100);
    start("b");
    await clock.advance(2_400);
    election.fault("hangs"); // a renewal of a's
    await clock.advance(4_999);
    expect(told.at(-1)).to.equal("saw a @100");
    await clock.advance(8_000);
    expect(told.slice(2, 3)).to.deep.equal(["a ended @7500"]);
  });

  it("rests after it has ended of its own accord, so that another gets its chance", async () => {
    const { work } = start("a");
    await clock.advance(100);
    const b = start("b");
    b.fitness = { ...FIT, isFresh: true }; // needs three seconds longer
    await clock.advance(400);
    work.endsBy.abort();
    await clock.advance(6_000);
    expect(told.slice(2, 3)).to.deep.equal(["a ended @500"]);
    expect(leaders().at(-1)).to.contain("b leads");
  });

  it("leads again after its rest when nobody else wants to", async () => {
    const { work } = start("a");
    await clock.advance(500);
    work.endsBy.abort();
    await clock.advance(3_900);
    expect(told.at(-1)).to.equal("a ended @500");
    await clock.advance(1_000);
    expect(told.at(-1)).to.equal("a leads @4500");
  });

  it("is barred while it drains: it does not stand, and gives up what it holds", async () => {
    const a = start("a");
    a.fitness = { ...FIT, isBarred: true };
    await clock.advance(2_500);
    expect(told).to.deep.equal([]);
    a.fitness = FIT;
    await clock.advance(1_000);
    a.fitness = { ...FIT, isBarred: true };
    await clock.advance(20_000);
    expect(told).to.deep.equal(["a leads @3000", "a ended @4250"]);
    expect(election.holder).to.equal(null);
  });

  it("is followed, when it leaves, by a busy candidate within what a drain waits for a leader's word", async () => {
    const wait = drainPatience(1_000).announceMs;
    const a = start("a");
    await clock.advance(100);
    const b = start("b", { jitter: 0.99 });
    const c = start("c", { jitter: 0.99 });
    b.fitness = { ...FIT, isBusy: true };
    c.fitness = { ...FIT, isFresh: true };
    await clock.advance(2_000);
    a.fitness = { ...FIT, isBarred: true };
    a.work.endsBy.abort();
    const left = clock.mono();
    await clock.advance(wait);
    expect(leaders().map((line) => line.split(" @")[0])).to.deep.equal(["a leads", "b leads"]);
    expect(Number(leaders().at(-1)?.split("@")[1]) - left).to.be.below(wait);
  });

  for (const less of ["isBusy", "isFresh"] as const)
    it(`steps back for a better candidate when it ${less}, and leads when there is none`, async () => {
      const a = start("a");
      a.fitness = { ...FIT, [less]: true };
      const b = start("b");
      await clock.advance(10_000);
      expect(leaders()).to.deep.equal(["b leads @0"]);
      b.fitness = { ...FIT, isBarred: true };
      await clock.advance(10_000);
      expect(leaders().at(-1)).to.contain("a leads");
    });

  it("steps back for a better candidate also where the lease was free for long while nobody could stand", async () => {
    const [a, b] = [start("a"), start("b")];
    for (const one of [a, b]) one.fitness = { ...FIT, isBarred: true };
    await clock.advance(60_000);
    a.fitness = { ...FIT, isBusy: true };
    b.fitness = FIT;
    await clock.advance(10_000);
    expect(leaders().map((line) => line.split(" @")[0])).to.deep.equal(["b leads"]);
  });

  it("ends the process when the work does not end with the lease", async () => {
    const { ended } = start("a", { endMs: 30_000 });
    await clock.advance(500);
    election.put({ holder: sid("b"), leaseMs: T.leaseMs, changes: 2 });
    let fault: unknown;
    void ended.then((error) => (fault = error));
    await clock.advance(1_749);
    expect(fault).to.equal(undefined);
    await clock.advance(1);
    expect(fault).to.be.instanceOf(LeadershipStuckError);
  });

  it("does not wait for its work past the moment at which others may lead, stopped or barred", async () => {
    const { end, ended } = start("a", { endMs: 30_000 });
    await clock.advance(500); // renewed at 0
    election.isAway = true;
    await clock.advance(4_400);
    end.abort(); // at 4,900: others may begin at 8,000 of a clock that may be 10 % faster
    let at = 0;
    void ended.then((error) => error instanceof LeadershipStuckError && (at = clock.mono()));
    await clock.advance(20_000);
    expect(at / 0.95).to.be.within(1, T.leaseMs / 1.05);
  });

  it("goes on as a candidate though its work ended by throwing what had stopped it, as a call does that is broken off", async () => {
    const own = { fitness: FIT, begun: 0 };
    const lead = (signal: AbortSignal): Promise<void> => {
      own.begun += 1;
      return clock.sleep(1e9, signal);
    };
    const fitness = () => own.fitness;
    const elector = new Elector({ election, clock, random: () => 0, timings: T, self: sid("a"), fitness, bus: bus() });
    const end = new AbortController();
    let fault: unknown;
    running.push({ end, ended: elector.run(lead, end.signal).catch((error: unknown) => (fault = error)) });
    await clock.advance(500);
    own.fitness = { ...FIT, isBarred: true };
    await clock.advance(2_000);
    own.fitness = FIT;
    await clock.advance(5_000);
    expect([fault, own.begun]).to.deep.equal([undefined, 2]);
  });

  it("waits less for its work where everything is faster", async () => {
    const timings = electionTimings(200);
    const { ended } = start("a", { endMs: 30_000, timings });
    await clock.advance(100);
    election.isAway = true;
    let at = 0;
    void ended.then((error) => error instanceof LeadershipStuckError && (at = clock.mono()));
    await clock.advance(20_000);
    expect(at / 0.95).to.be.within(1, timings.leaseMs / 1.05);
  });

  it("gives it up although a renewal was under way when it was told to stop", async () => {
    const { end } = start("a");
    await clock.advance(900);
    election.fault("hangs");
    await clock.advance(200);
    end.abort();
    void settle().then(() => election.release());
    await clock.advance(1_000);
    expect(election.holder).to.equal(null);
  });

  for (const { at, prepare } of [
    { at: "before its first look", prepare: async () => {} },
    {
      at: "while it waits for another",
      prepare: async () => {
        election.put({ holder: sid("b"), leaseMs: T.leaseMs, changes: 1 });
        await clock.advance(1_500);
      },
    },
    { at: "while it leads", prepare: () => clock.advance(1_500) },
    {
      at: "while a renewal hangs",
      prepare: async () => {
        await clock.advance(500);
        election.fault("hangs");
        await clock.advance(1_000);
      },
    },
    {
      at: "while nothing gets through",
      prepare: async () => {
        election.isAway = true;
        await clock.advance(1_500);
      },
    },
  ])
    it(`leaves no timer when it is stopped ${at}`, async () => {
      const { end, ended } = start("a");
      await prepare();
      end.abort();
      await clock.advance(0);
      expect(await ended).to.equal(undefined);
      expect(clock.sleeping).to.equal(0);
    });
});
