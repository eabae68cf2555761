import { expect } from "chai";
import { StoreUnreachableError } from "../../../src/core/errors.ts";
import type { Figures } from "../../../src/core/figures.ts";
import type { SegmentRecord } from "../../../src/core/records.ts";
import { aSegment, aWorker, epoch, sid } from "../../support/builders.ts";
import { aDocument, fakeEngine, Fleet, placeOf, stop } from "../../support/fleet.ts";

const aPlacement = (id: string, over: object = {}) => ({ _id: id, segment: placeOf(id), active: true, done: null, ...over });

describe("leader/leader Leader", () => {
  let fleet: Fleet;
  let told: string[];
  beforeEach(() => {
    fleet = new Fleet(fakeEngine);
    told = [];
    fleet.leaderBus.on("leader:elected", ({ term }) => told.push(`elected ${term}`));
    fleet.leaderBus.on("leader:resigned", ({ term }) => told.push(`resigned ${term}`));
    fleet.leaderBus.on("assignment:stepped", ({ step }) => told.push(`${step.kind} ${step.segment}`));
    fleet.leaderBus.on("assignment:missed", ({ step }) => told.push(`missed ${step.kind} ${step.segment}`));
    fleet.leaderBus.on("round:failed", ({ loop }) => told.push(`failed ${loop}`));
  });
  afterEach(async () => {
    await fleet.end();
    expect([fleet.store.watching, fleet.store.openStreams]).to.deep.equal([0, 0]);
  });

  const a = placeOf("a");
  const segmentOf = (id: number): SegmentRecord | undefined => fleet.store.get<SegmentRecord>("segments", id);

  it("creates, then assigns the segments of active bots", async () => {
    fleet.store.put("workers", aWorker("w"));
    fleet.store.putBot(aDocument("a"));
    fleet.startLeader();
    await fleet.clock.advance(1_000);
    expect(told).to.deep.equal(["elected 1", `create ${a}`, `assign ${a}`]);
    const born = Math.floor(fleet.clock.wall().getTime() / 1_000) - 1;
    expect(segmentOf(a)).to.deep.equal({ _id: a, state: "assigned", owner: "w", epoch: born + 1, term: 1, target: null });
  });

  it("compares everything once at its start: the feed's first look is its own", async () => {
    let merges = 0;
    fleet.leaderBus.on("admission:merged", () => merges++);
    fleet.startLeader();
    await fleet.clock.advance(10_000);
    expect(merges).to.equal(1);
  });

  it("does not wait for a feed that says nothing", async () => {
    fleet.store.put("workers", aWorker("w"));
    fleet.store.putBot(aDocument("a"));
    fleet.store.muted = true;
    fleet.startLeader();
    await fleet.clock.advance(2_000);
    expect(segmentOf(a)?.owner).to.equal("w");
  });

  for (const method of ["workers", "countInvalid", "findBots"] as const)
    it(`ends with its lease though ${method}() hangs`, async () => {
      fleet.store.put("workers", aWorker("w"));
      const life = fleet.startLeader();
      await fleet.clock.advance(1_000);
      let isAsked = false;
      const hang = (): Promise<void> => ((isAsked = true), fleet.clock.sleep(10_000, new AbortController().signal));
      fleet.store.before(method, hang);
      fleet.store.putBot(aDocument("a"));
      await fleet.clock.advance(500);
      life.end.abort();
      await fleet.clock.advance(100);
      expect([isAsked, told.at(-1), life.fault]).to.deep.equal([true, "resigned 1", undefined]);
    });

  it("follows a hint at once, not at the next check", async () => {
    fleet.store.put("workers", aWorker("w"));
    fleet.startLeader();
    await fleet.clock.advance(1_000);
    fleet.store.putBot(aDocument("a"));
    await fleet.clock.advance(500);
    expect(segmentOf(a)?.owner).to.equal("w");
  });

  describe("that leaves", () => {
    const between = aSegment(a, { state: "revoking", owner: sid("old"), target: sid("new"), epoch: epoch(7) });
    const held = aSegment(placeOf("b"), { state: "assigned", owner: sid("old"), epoch: epoch(5) });
    let leaving: AbortController;
    let life: ReturnType<Fleet["startLeader"]>;
    const begin = async (bots: readonly string[], ...segments: readonly SegmentRecord[]): Promise<void> => {
      leaving = new AbortController();
      for (const worker of ["old", "new"]) fleet.store.put("workers", aWorker(worker));
      for (const bot of bots) fleet.store.putBot(aDocument(bot));
      for (const bot of bots) fleet.store.put("placements", aPlacement(bot));
      for (const record of segments) fleet.store.put("segments", record);
      life = fleet.startLeader("pod", { leaving: leaving.signal });
      await fleet.clock.advance(1_000);
      told = [];
    };

    it("ends at once", async () => {
      await begin(["b"], held);
      leaving.abort();
      await fleet.clock.advance(100);
      expect([told, life.fault]).to.deep.equal([["resigned 1"], undefined]);
    });

    it("gives out first what is between two owners, whose bots stand still", async () => {
      await begin(["a"], between);
      leaving.abort();
      await fleet.clock.advance(500);
      expect(told).to.deep.equal([]);
      fleet.store.put("segments", { ...between, state: "free", owner: null });
      await fleet.clock.advance(500);
      expect(told).to.deep.equal([`assign ${a}`, "resigned 1"]);
    });

    it("begins no move any more: whose bots still run can wait for the next leader", async () => {
      await begin(["a", "b"], between, held);
      leaving.abort();
      fleet.store.put("workers", aWorker("old", { state: "draining" }));
      await fleet.clock.advance(5_000);
      expect(told).to.deep.equal([]);
    });
  });

  it("waits with a segment until there is a worker", async () => {
    fleet.store.putBot(aDocument("a"));
    const { leader } = fleet.startLeader();
    await fleet.clock.advance(1_000);
    expect([segmentOf(a)?.state, leader.latest()?.figures.segment_backlog]).to.deep.equal(["free", 1]);
    fleet.store.put("workers", aWorker("w"));
    await fleet.clock.advance(6_000);
    expect([segmentOf(a)?.owner, leader.latest()?.figures.segment_backlog]).to.deep.equal(["w", 0]);
  });

  it("leaves segments to workers that may come, and takes them itself as soon as patience ends", async () => {
    fleet.store.put("workers", aWorker("w"));
    fleet.store.putBot(aDocument("a"));
    fleet.startLeader("pod", { sid: sid("w"), policy: { patienceMs: 4_000, lostPatienceMs: 0 } });
    await fleet.clock.advance(3_900);
    expect(told).to.deep.equal(["elected 1", `create ${a}`]);
    await fleet.clock.advance(1_000); // the next check is due at 5 s
    expect([segmentOf(a)?.owner, told.at(-1)]).to.deep.equal(["w", `assign ${a}`]);
  });

  it("counts what waits anew each time that it is elected", async () => {
    fleet.store.put("workers", aWorker("w"));
    fleet.store.putBot(aDocument("a"));
    const over = { sid: sid("w"), policy: { patienceMs: 4_000, lostPatienceMs: 0 } };
    const life = fleet.startLeader("pod", over);
    await fleet.clock.advance(3_000);
    await stop(life);
    await fleet.clock.advance(60_000);
    const again = new AbortController();
    const running = life.leader.run(again.signal);
    await fleet.clock.advance(3_000);
    expect(segmentOf(a)?.owner).to.equal(null);
    again.abort(new Error("enough"));
    await fleet.clock.advance(100);
    await running;
  });

  it("revokes a segment without active bots, and gives it out again after its release", async () => {
    fleet.store.put("workers", aWorker("w"));
    fleet.store.put("segments", aSegment(a, { state: "assigned", owner: sid("w") }));
    fleet.store.putBot(aDocument("a", { enabled: false }));
    fleet.store.put("placements", aPlacement("a", { active: false }));
    fleet.startLeader();
    await fleet.clock.advance(1_000);
    expect([segmentOf(a)?.state, segmentOf(a)?.owner]).to.deep.equal(["revoking", "w"]);
    fleet.store.put("segments", aSegment(a, { epoch: epoch(100) }));
    fleet.store.putBot(aDocument("a"));
    await fleet.clock.advance(2_000);
    expect([segmentOf(a)?.state, segmentOf(a)?.epoch]).to.deep.equal(["assigned", 101]);
  });

  for (const state of ["dead", "gone"] as const) {
    it(`frees what a ${state} owner left, and gives it to the living under a new epoch`, async () => {
      fleet.store.put("workers", aWorker("old", { state }));
      fleet.store.put("workers", aWorker("new"));
      fleet.store.put("segments", aSegment(a, { state: "assigned", owner: sid("old"), epoch: epoch(7) }));
      fleet.store.putBot(aDocument("a"));
      fleet.store.put("placements", aPlacement("a"));
      fleet.startLeader();
      await fleet.clock.advance(1_000);
      expect(told).to.deep.equal(["elected 1", `free ${a}`, `assign ${a}`]);
      expect([segmentOf(a)?.owner, segmentOf(a)?.epoch]).to.deep.equal(["new", 8]);
    });
  }

  it("tells the figures, and publishes them when they change", async () => {
    fleet.store.put("workers", aWorker("w"));
    fleet.store.put("workers", aWorker("gone", { state: "gone" }));
    for (const id of ["a", "b", "c"]) fleet.store.putBot(aDocument(id));
    const invalid: number[] = [];
    fleet.leaderBus.on("figures:observed", (seen) => invalid.push(seen.invalid));
    const { leader } = fleet.startLeader();
    expect(leader.latest()).to.equal(undefined);
    await fleet.clock.advance(2_000);
    const total = new Set(["a", "b", "c"].map(placeOf)).size;
    const figures: Figures = {
      total_segments: total,
      assigned_segments: total,
      orphaned_segments: 0,
      available_workers: 1,
      segment_backlog: total - 1,
    };
    expect(leader.latest()?.figures).to.deep.equal(figures);
    expect(fleet.store.published).to.deep.include({ leader: "pod", ...figures });
    fleet.store.putBot(aDocument("bad", { image: 5 }));
    await fleet.clock.advance(6_000);
    expect([invalid[0], invalid.at(-1)]).to.deep.equal([0, 1]);
    expect(leader.latest()!.ageMs).to.be.at.most(5_500);
  });

  it("tells how long the oldest hand-over has stood, until the segment is released", async () => {
    fleet.store.put("workers", aWorker("w"));
    fleet.store.putBot(aDocument("a"));
    fleet.store.put("segments", aSegment(a, { state: "revoking", owner: sid("w") }));
    const ages: number[] = [];
    fleet.leaderBus.on("figures:observed", ({ handOverMs }) => ages.push(handOverMs));
    fleet.startLeader();
    await fleet.clock.advance(12_000);
    expect([ages[0], (ages.at(-1) ?? 0) >= 5_000]).to.deep.equal([0, true]);
    fleet.store.put("segments", aSegment(a));
    await fleet.clock.advance(6_000);
    expect(ages.at(-1)).to.equal(0);
  });

  it("tells nothing of a fleet that it has not fully read", async () => {
    fleet.store.put("workers", aWorker("w"));
    fleet.store.put("segments", aSegment(a, { state: "assigned", owner: sid("w") }));
    fleet.store.putBot(aDocument("a"));
    for (let n = 0; n < 3; n++) fleet.store.failNext("stringBots");
    const { leader } = fleet.startLeader();
    await fleet.clock.advance(1_500);
    expect([leader.latest(), segmentOf(a)?.state]).to.deep.equal([undefined, "assigned"]);
    await fleet.clock.advance(5_000);
    expect([leader.latest()?.figures.assigned_segments, segmentOf(a)?.state]).to.deep.equal([1, "assigned"]);
  });

  it("goes on after the store was away", async () => {
    fleet.store.put("workers", aWorker("w"));
    const life = fleet.startLeader();
    await fleet.clock.advance(1_000);
    fleet.store.goAway();
    fleet.store.putBot(aDocument("a"));
    await fleet.clock.advance(20_000);
    fleet.store.comeBack();
    await fleet.clock.advance(6_000);
    expect(segmentOf(a)?.owner).to.equal("w");
    expect([life.fault, told.includes("failed assignment")]).to.deep.equal([undefined, true]);
  });

  it("gives a segment away while the answer about another one is late", async () => {
    const [b] = ["b", "c", "d", "e"].filter((id) => placeOf(id) !== a);
    fleet.store.put("workers", aWorker("w"));
    fleet.store.putBot(aDocument("a"));
    const apply = fleet.store.apply.bind(fleet.store);
    let left = 1;
    fleet.store.apply = async (operation) => {
      const outcome = await apply(operation);
      if (operation.op !== "O2" || left-- < 1) return outcome;
      await fleet.clock.sleep(10_000, new AbortController().signal);
      throw new StoreUnreachableError("Cannot hear whether it was assigned");
    };
    fleet.startLeader();
    await fleet.clock.advance(1_000);
    expect(told.at(-1)).to.equal(`create ${a}`);
    fleet.store.putBot(aDocument(b));
    await fleet.clock.advance(1_500);
    expect([segmentOf(a)?.owner, segmentOf(placeOf(b ?? ""))?.owner]).to.deep.equal(["w", "w"]);
    await fleet.clock.advance(10_000);
    expect(told.filter((line) => line.startsWith("failed"))).to.deep.equal(["failed assignment"]);
  });

  it("sees by another's word that it is not the leader any more", async () => {
    fleet.store.put("workers", aWorker("w"));
    fleet.startLeader();
    await fleet.clock.advance(1_000);
    fleet.store.put("control", { _id: "leader", term: 9 });
    fleet.store.put("segments", aSegment(a, { term: 9 }));
    fleet.store.putBot(aDocument("a"));
    await fleet.clock.advance(1_000);
    expect([segmentOf(a)?.state, segmentOf(a)?.term]).to.deep.equal(["free", 9]);
  });

  describe("terms", () => {
    it("rise with each leader, and stay with who resigned", async () => {
      for (const worker of ["one", "two", "three"]) {
        const life = fleet.startLeader(worker);
        await fleet.clock.advance(1_000);
        await stop(life);
        expect(life.leader.latest()).to.equal(undefined);
      }
      expect(told).to.deep.equal([1, 2, 3].flatMap((term) => [`elected ${term}`, `resigned ${term}`]));
      expect(await fleet.store.leaderTerm()).to.equal(3);
    });

    it("rise above what a record tells of, else every write would miss: a create can land after all else was dropped", async () => {
      fleet.store.putBot(aDocument("a"));
      fleet.store.put("workers", aWorker("w1"));
      fleet.store.put("segments", aSegment(placeOf("a"), { term: 3 }));
      fleet.startLeader("one");
      await fleet.clock.advance(5_000);
      expect(fleet.store.get("segments", placeOf("a"))).to.include({ state: "assigned", owner: "w1", term: 3 });
    });

    it("are different for leaders that begin at once", async () => {
      for (const worker of ["one", "two", "three"]) fleet.startLeader(worker);
      await fleet.clock.advance(1_000);
      expect(told.toSorted()).to.deep.equal(["elected 1", "elected 2", "elected 3"]);
    });

    for (const method of ["leaderTerm", "insert"] as const) {
      it(`are taken though the store does not answer ${method} at once`, async () => {
        fleet.store.failNext(method);
        const life = fleet.startLeader();
        await fleet.clock.advance(10_000);
        expect([life.fault, told]).to.deep.equal([undefined, ["failed term", "elected 1"]]);
      });
    }
  });

  it("gives each segment one owner, whoever leads beside it", async () => {
    for (const id of ["w1", "w2"]) fleet.store.put("workers", aWorker(id));
    for (let n = 0; n < 40; n++) fleet.store.putBot(aDocument(`bot-${n}`));
    for (const worker of ["one", "two"]) fleet.startLeader(worker);
    await fleet.clock.advance(10_000);
    const records = (await fleet.store.segments()).filter(({ owner }) => owner !== null);
    expect(new Set(records.map(({ _id }) => _id)).size).to.equal((await fleet.store.activeSegments()).length);
    const born = 1_800_000_000;
    expect(records.every(({ epoch }) => epoch - born <= 3)).to.equal(true);
  });
});
