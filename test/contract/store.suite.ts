import { expect } from "chai";
import type { FoundDocument } from "../../src/core/bot.ts";
import { type BotId, compareIds, type RawId } from "../../src/core/ids.ts";
import { mergeSorted } from "../../src/core/merge.ts";
import * as operations from "../../src/core/operations.ts";
import type { Operation, Outcome } from "../../src/core/operations.ts";
import type { FleetRecord, PlacementRecord, RunRecord, StatusRecord } from "../../src/core/records.ts";
import type { LeaderStore } from "../../src/leader/ports.ts";
import type { WorkerStore } from "../../src/worker/ports.ts";
import { aSegment, aWorker, bot, epoch, hash, segment, sid } from "../support/builders.ts";

export type Subject = {
  readonly store: LeaderStore & WorkerStore;
  /** Writes the user's collection, all at once; what it holds stays. */
  putBots(bots: readonly { readonly raw: RawId; readonly document?: Readonly<Record<string, unknown>> }[]): Promise<void>;
};

type Rows = Parameters<LeaderStore["insert"]>;
type Case = { readonly why: string; readonly given: readonly Rows[]; readonly op: Operation; readonly gives: Outcome };

export const string = (value: string): RawId => ({ kind: "string", value });
export const objectId = (hex: string): RawId => ({ kind: "objectId", hex });
const textOf = ({ raw }: { readonly raw: RawId }): string =>
  raw.kind === "string" ? raw.value : raw.kind === "objectId" ? raw.hex : raw.text;

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

export const never = new AbortController().signal;
const fleet: FleetRecord = { _id: "fleet", owner: "engine-1", coordination: "single", schema: 1, incarnation: "i1" };
const { _id: _fleet, ...fleetFields } = fleet;
export const aStatus = (over: Partial<StatusRecord> = {}): Omit<StatusRecord, "_id" | "epoch" | "sid"> => {
  const { _id, epoch: _epoch, sid: _sid, ...fields } = { ...status, ...over };
  return fields;
};
const status: StatusRecord = {
  _id: bot("a"),
  epoch: 5,
  sid: sid("s1"),
  state: "running",
  since: new Date(1_000),
  worker: "pod",
  container: "c1",
  restarts: 0,
  attempt: 0,
  nextStart: null,
  lastExit: { code: 1, oom: "no", at: new Date(2_000), why: "exited" },
  message: "",
  warnings: [],
  spec: hash(),
};
const aPlacement = (id: string, over: Partial<PlacementRecord> = {}): PlacementRecord => ({
  _id: bot(id),
  segment: segment(3),
  active: true,
  done: null,
  ...over,
});
const aRun = (n: number, over: Partial<RunRecord> = {}): RunRecord => ({
  _id: `container-${n}`,
  bot: bot("a"),
  segment: segment(3),
  epoch: epoch(5),
  worker: "pod",
  started: new Date(n * 1_000),
  ended: new Date(n * 1_000 + 500),
  exit: 1,
  oom: "no",
  startedWhy: "new",
  endedWhy: "exited",
  log: `line ${n}\n`,
  ...over,
});

const row = (collection: Rows[0], record: object): Rows => [collection, record as Rows[1]];
const worker = (over = {}): Rows => row("workers", aWorker("s1", over));
const seg = (over = {}): Rows => row("segments", aSegment(3, { epoch: epoch(5), term: 2, ...over }));
const owned = { state: "assigned", owner: sid("s1") } as const;
const placement = (over = {}): Rows => row("placements", aPlacement("a", over));
const reported = (over = {}): Rows => row("status", { ...status, ...over });
const report = (e: number, s: string): Operation => operations.reportStatus(bot("a"), epoch(e), sid(s), aStatus());
const unowned = (message: string): Operation => operations.reportUnowned(bot("a"), aStatus({ state: "invalid", message }));
const [s1, three, five] = [sid("s1"), segment(3), epoch(5)];

/** Each operation of ownership.md, won and missed by each of its terms. */
const CASES: readonly Case[] = [
  { why: "O0 continues a session from the counter seen", given: [worker()], op: operations.continueSession(s1, 1), gives: "won" },
  { why: "O0 continues a draining session", given: [worker({ state: "draining" })], op: operations.continueSession(s1, 1), gives: "won" },
  { why: "O0 comes after another process", given: [worker({ inc: 2 })], op: operations.continueSession(s1, 1), gives: "missed" },
  { why: "O0 finds a dead session", given: [worker({ state: "dead" })], op: operations.continueSession(s1, 1), gives: "missed" },
  { why: "O1 renews", given: [worker()], op: operations.renewSession(s1, 1), gives: "won" },
  { why: "O1 of a replaced process", given: [worker({ inc: 2 })], op: operations.renewSession(s1, 1), gives: "missed" },
  { why: "O1 of a session that has gone", given: [worker({ state: "gone" })], op: operations.renewSession(s1, 1), gives: "missed" },
  { why: "O1 of a session that was dropped", given: [], op: operations.renewSession(s1, 1), gives: "missed" },
  { why: "a worker drains", given: [worker()], op: operations.stepDown(s1, 1, "draining"), gives: "won" },
  { why: "a dead worker cannot go", given: [worker({ state: "dead" })], op: operations.stepDown(s1, 1, "gone"), gives: "missed" },
  { why: "O3 ends a silent session", given: [worker({ hbSeq: 7 })], op: operations.endSession(s1, 7), gives: "won" },
  { why: "O3 sees the counter move", given: [worker({ hbSeq: 8 })], op: operations.endSession(s1, 7), gives: "missed" },
  { why: "O3 of one that is gone", given: [worker({ hbSeq: 7, state: "gone" })], op: operations.endSession(s1, 7), gives: "missed" },
  { why: "O2 assigns a free segment", given: [seg()], op: operations.assignSegment(three, five, s1, 2), gives: "won" },
  { why: "O2 finds it owned", given: [seg(owned)], op: operations.assignSegment(three, five, s1, 2), gives: "missed" },
  { why: "O2 planned with an old epoch", given: [seg({ epoch: 6 })], op: operations.assignSegment(three, five, s1, 2), gives: "missed" },
  { why: "O2 of an old leader", given: [seg({ term: 3 })], op: operations.assignSegment(three, five, s1, 2), gives: "missed" },
  { why: "O2 of a segment without a record", given: [], op: operations.assignSegment(three, five, s1, 2), gives: "missed" },
  { why: "O3' frees what a dead owner left", given: [seg(owned)], op: operations.freeSegment(three, s1, five, 3), gives: "won" },
  { why: "O3' of another owner", given: [seg({ ...owned, owner: "s2" })], op: operations.freeSegment(three, s1, five, 3), gives: "missed" },
  { why: "O3' of another epoch", given: [seg({ ...owned, epoch: 6 })], op: operations.freeSegment(three, s1, five, 3), gives: "missed" },
  { why: "O3' of an old leader", given: [seg({ ...owned, term: 4 })], op: operations.freeSegment(three, s1, five, 3), gives: "missed" },
  { why: "O4 revokes", given: [seg(owned)], op: operations.revokeSegment(three, s1, five, sid("s2"), 2), gives: "won" },
  { why: "O4 without a target", given: [seg(owned)], op: operations.revokeSegment(three, s1, five, null, 2), gives: "won" },
  {
    why: "O4 a second time",
    given: [seg({ ...owned, state: "revoking" })],
    op: operations.revokeSegment(three, s1, five, null, 2),
    gives: "missed",
  },
  {
    why: "O4 of an old leader",
    given: [seg({ ...owned, term: 3 })],
    op: operations.revokeSegment(three, s1, five, null, 2),
    gives: "missed",
  },
  { why: "O5 releases", given: [seg(owned)], op: operations.releaseSegment(three, s1, five), gives: "won" },
  {
    why: "O5 releases what is revoked",
    given: [seg({ ...owned, state: "revoking" })],
    op: operations.releaseSegment(three, s1, five),
    gives: "won",
  },
  { why: "O5 a second time", given: [seg()], op: operations.releaseSegment(three, s1, five), gives: "missed" },
  { why: "O5 of a former owner", given: [seg({ ...owned, epoch: 6 })], op: operations.releaseSegment(three, s1, five), gives: "missed" },
  { why: "O6 is the first report", given: [], op: report(5, "s1"), gives: "won" },
  { why: "O6 of a newer epoch", given: [reported()], op: report(6, "s2"), gives: "won" },
  { why: "O6 of the same owner", given: [reported()], op: report(5, "s1"), gives: "won" },
  { why: "O6 of an older epoch", given: [reported()], op: report(4, "s1"), gives: "missed" },
  { why: "O6 of the same epoch by another", given: [reported()], op: report(5, "s2"), gives: "missed" },
  { why: "O7 takes the term", given: [row("control", { _id: "leader", term: 4 })], op: operations.nextTerm(4), gives: "won" },
  { why: "O7 comes second", given: [row("control", { _id: "leader", term: 5 })], op: operations.nextTerm(4), gives: "missed" },
  {
    why: "a fleet is adopted",
    given: [row("control", fleet)],
    op: operations.adoptFleet(fleet, { ...fleetFields, owner: "e2" }),
    gives: "won",
  },
  {
    why: "a fleet was adopted already",
    given: [row("control", { ...fleet, owner: "e3" })],
    op: operations.adoptFleet(fleet, fleetFields),
    gives: "missed",
  },
  { why: "the first report on an unowned bot", given: [], op: unowned("a fault"), gives: "won" },
  { why: "the same report again", given: [reported({ state: "invalid", message: "a fault" })], op: unowned("a fault"), gives: "missed" },
  { why: "another fault", given: [reported({ state: "invalid", message: "b" })], op: unowned("a fault"), gives: "won" },
  { why: "a report on a stopped bot", given: [reported({ state: "stopped" })], op: unowned("a fault"), gives: "won" },
  { why: "a report on a running bot", given: [reported()], op: unowned("a fault"), gives: "missed" },
  { why: "a bot is activated", given: [placement({ active: false })], op: operations.activate(bot("a")), gives: "won" },
  { why: "an active one is not", given: [placement()], op: operations.activate(bot("a")), gives: "missed" },
  { why: "a bot is deactivated", given: [placement()], op: operations.deactivate(bot("a"), three, hash()), gives: "won" },
  {
    why: "not by the owner of another segment",
    given: [placement()],
    op: operations.deactivate(bot("a"), segment(4), null),
    gives: "missed",
  },
  {
    why: "an inactive placement is forgotten",
    given: [placement({ active: false })],
    op: operations.forgetPlacement(bot("a")),
    gives: "won",
  },
  { why: "an active one is kept", given: [placement()], op: operations.forgetPlacement(bot("a")), gives: "missed" },
  { why: "a status is forgotten in any state", given: [reported()], op: operations.forgetStatus(bot("a")), gives: "won" },
  { why: "there is none to forget", given: [], op: operations.forgetStatus(bot("a")), gives: "missed" },
];

/** Ids in every order that sorts differently in some other way: UTF-16 units, letters without case, words with numbers. */
const AWKWARD = [
  ["a", "B", "b", "A", "a1", "a10", "a2", "Z", "z", "é", "e\u0301", "ß", "ä", "0", "-", "_", " ", "~", "\u007f", "$a", "a.b", "{}"],
  ["\ue000", "\uffee", "😀", "😀a", "𝒳", "日本", "\u0000", "a\u0000b", "aa", "bot-1", "bot-10", "bot-9", "x".repeat(200)],
].flat();

/** What every store promises. `subject` gives a fresh, empty one for each test. */
export function storeContract(subject: () => Subject): void {
  const store = (): Subject["store"] => subject().store;
  const putStrings = (ids: readonly string[]): Promise<void> => subject().putBots(ids.map((id) => ({ raw: string(id) })));

  describe("operations", () => {
    for (const { why, given, op, gives } of CASES) {
      it(`${gives}: ${why}`, async () => {
        for (const [collection, record] of given) await store().insert(collection, record);
        expect(await store().apply(op)).to.equal(gives);
      });
    }

    it("leaves what it set and added, and nothing else, in the document", async () => {
      await store().insert("segments", aSegment(3, { epoch: five, term: 2 }));
      await store().insert("segments", aSegment(4));
      await store().apply(operations.assignSegment(three, five, s1, 7));
      expect([...(await store().segments())].sort((a, b) => a._id - b._id)).to.deep.equal([
        aSegment(3, { state: "assigned", owner: s1, epoch: epoch(6), term: 7 }),
        aSegment(4),
      ]);
    });

    it("gives a status back as it was reported, dates and null too", async () => {
      await store().apply(report(5, "s1"));
      expect(await store().findStatuses([bot("a"), bot("b")])).to.deep.equal([status]);
    });

    it("keeps the document as it was when it misses", async () => {
      await store().apply(report(5, "s1"));
      await store().apply(operations.reportStatus(bot("a"), epoch(4), s1, aStatus({ state: "failed" })));
      expect(await store().findStatuses([bot("a")])).to.deep.equal([status]);
    });

    it("reports on documents whose _id names no bot, each by itself", async () => {
      for (const document of ["5", "6"]) {
        const op = operations.reportUnowned({ document }, aStatus({ state: "invalid", message: "bad id" }));
        expect(await store().apply(op)).to.equal("won");
        expect(await store().apply(op)).to.equal("missed");
      }
      await store().apply(unowned("a fault"));
      expect(await store().countInvalid()).to.equal(3);
      expect(await store().apply(operations.forgetStatus({ document: "5" }))).to.equal("won");
      expect(await store().countInvalid()).to.equal(2);
    });

    it("inserts once", async () => {
      expect(await store().insert("workers", aWorker("s1"))).to.equal("inserted");
      expect(await store().insert("workers", aWorker("s1", { inc: 9 }))).to.equal("exists");
      expect(await store().workers()).to.deep.equal([aWorker("s1")]);
    });

    it("lets one of many win: inserts, upserts and compare-and-set", async () => {
      const ten = Array.from({ length: 10 }, (_, i) => i);
      const inserts = await Promise.all(ten.map((i) => store().insert("workers", aWorker("s1", { inc: i }))));
      expect(inserts.filter((outcome) => outcome === "inserted")).to.have.lengthOf(1);
      await store().insert("segments", aSegment(3, { epoch: five, term: 2 }));
      const assigned = await Promise.all(ten.map((i) => store().apply(operations.assignSegment(three, five, sid(`s${i}`), 2))));
      expect(assigned.filter((outcome) => outcome === "won")).to.have.lengthOf(1);
      const reports = await Promise.all(ten.map((i) => store().apply(report(5, `s${i}`))));
      expect(reports.filter((outcome) => outcome === "won")).to.have.lengthOf(1);
    });
  });

  describe("the user's bots", () => {
    it("finds nothing in a collection that is not there", async () => {
      for (const read of ["stringBots", "objectIdBots", "otherBots", "allPlacements"] as const)
        expect(await collect<unknown>(store()[read](never))).to.deep.equal([]);
      expect(await store().findBots([bot("a")])).to.deep.equal([]);
      expect(await store().activeSegments()).to.deep.equal([]);
      expect(await store().fleet()).to.equal(undefined);
      expect(await store().leaderTerm()).to.equal(undefined);
      expect(await store().countInvalid()).to.equal(0);
      expect(await collect(store().activePlacements([three], never))).to.deep.equal([]);
    });

    it("gives strings in the order of compareIds, so that they can be merged with placements", async () => {
      await putStrings(AWKWARD);
      for (const id of AWKWARD) await store().insert("placements", aPlacement(id));
      const ids = (await collect(store().stringBots(never))).map(textOf);
      expect(ids).to.deep.equal(AWKWARD.toSorted(compareIds));
      expect((await collect(store().allPlacements(never))).map(({ _id }) => _id)).to.deep.equal(ids);
      const streams: AsyncIterable<{ readonly id: string }>[] = [
        tagged(store().stringBots(never), textOf),
        tagged(store().allPlacements(never), (p) => p._id),
      ];
      const rows = await collect(mergeSorted(streams, (item) => item.id));
      expect(rows.every(({ parts }) => parts.every((part) => part !== undefined))).to.equal(true);
      expect(rows).to.have.lengthOf(AWKWARD.length);
    });

    it("gives ObjectIds in the order of their hex form", async () => {
      const hexes = ["ffffffffffffffffffffffff", "000000000000000000000001", "5f43a1b2c3d4e5f60718293a", "a".repeat(24), "0".repeat(24)];
      await subject().putBots([...hexes.map((hex) => ({ raw: objectId(hex) })), { raw: string("a") }]);
      expect((await collect(store().objectIdBots(never))).map(textOf)).to.deep.equal(hexes.toSorted(compareIds));
    });

    it("finds by id, with both twins, and distinguishes letters by case", async () => {
      const hex = "5f43a1b2c3d4e5f60718293a";
      await subject().putBots([
        { raw: string("a") },
        { raw: string("A") },
        { raw: string(hex) },
        { raw: objectId(hex) },
        { raw: string("b") },
      ]);
      const found = await store().findBots(["a", hex, "none"] as BotId[]);
      expect(found.map(({ raw }) => `${raw.kind} ${textOf({ raw })}`).sort()).to.deep.equal([
        `objectId ${hex}`,
        `string ${hex}`,
        "string a",
      ]);
      expect(await store().findBots([])).to.deep.equal([]);
    });

    it("gives documents as they stand", async () => {
      const document = { image: "x", enabled: false, nested: { list: [1, 2.5, "three", null, true] }, when: new Date(5) };
      await subject().putBots([{ raw: string("a"), document }]);
      const expected: FoundDocument[] = [{ raw: string("a"), document: { _id: "a", ...document } }];
      expect(await store().findBots([bot("a")])).to.deep.equal(expected);
      expect(await collect(store().stringBots(never))).to.deep.equal(expected);
    });

    it("streams 2,000 bots, each once, in order", async () => {
      const ids = Array.from({ length: 2_000 }, (_, i) => `bot-${i}`);
      await putStrings(ids);
      expect((await collect(store().stringBots(never))).map(textOf)).to.deep.equal(ids.toSorted(compareIds));
    });

    it("ends a read with the signal's reason, before and in the middle", async () => {
      const ids = Array.from({ length: 500 }, (_, i) => `bot-${i}`);
      await putStrings(ids);
      for (const stopAfter of [0, 1, 450]) {
        const end = new AbortController();
        const reason = new Error("enough");
        let seen = 0;
        const read = async (): Promise<void> => {
          if (stopAfter === 0) end.abort(reason);
          for await (const _ of store().stringBots(end.signal)) if (++seen === stopAfter) end.abort(reason);
        };
        expect(await read().catch((error: unknown) => error)).to.equal(reason);
        expect(seen).to.equal(stopAfter);
      }
    });

    it("lets a reader stop early", async () => {
      await putStrings(["a", "b", "c"]);
      for await (const found of store().stringBots(never)) {
        expect(textOf(found)).to.equal("a");
        break;
      }
    });
  });

  describe("the fleet's records", () => {
    it("gives the active segments, each once", async () => {
      await store().insert("placements", aPlacement("a"));
      await store().insert("placements", aPlacement("b"));
      await store().insert("placements", aPlacement("c", { segment: segment(4), active: false }));
      await store().insert("placements", aPlacement("d", { segment: segment(0) }));
      expect(await store().activeSegments()).to.have.members([0, 3]);
    });

    it("gives the active placements of some segments in batches of at most 500", async () => {
      const insert = (id: string, over: Partial<PlacementRecord>): Promise<unknown> => store().insert("placements", aPlacement(id, over));
      await Promise.all(Array.from({ length: 501 }, (_, i) => insert(`a${i}`, {})));
      await insert("inactive", { active: false });
      await insert("elsewhere", { segment: segment(4) });
      const batches = await collect(store().activePlacements([three, segment(9)], never));
      expect(batches.map((batch) => batch.length)).to.deep.equal([500, 1]);
      expect(new Set(batches.flat().map(({ _id }) => _id)).size).to.equal(501);
      expect(await store().findPlacements([bot("a7"), bot("none")])).to.deep.equal([aPlacement("a7")]);
    });

    it("gives a session's own segments", async () => {
      await store().insert("segments", aSegment(3, owned));
      await store().insert("segments", aSegment(4, { ...owned, owner: sid("s2") }));
      await store().insert("segments", aSegment(5));
      expect((await store().ownedSegments(s1)).map(({ _id }) => _id)).to.deep.equal([3]);
    });

    it("tells fleet and term", async () => {
      await store().insert("control", fleet);
      await store().insert("control", { _id: "leader", term: 4 });
      expect(await store().fleet()).to.deep.equal(fleet);
      expect(await store().leaderTerm()).to.equal(4);
    });

    it("publishes the fleet's view, again and by several at a time", async () => {
      await Promise.all([1, 2, 3].map((total) => store().publishFleet({ total })));
      await store().publishFleet({ total: 4 });
    });
  });
}

const newest = (count: number, of: number): string[] => Array.from({ length: count }, (_, i) => `container-${of - i}`);

/** Runs are read by the command line only, so each store's own test counts them. */
export function runsContract(subject: () => Subject & { runIds(bot: BotId): Promise<readonly string[]> }): void {
  const record = (runs: readonly RunRecord[]): Promise<unknown> => Promise.all(runs.map((run) => subject().store.recordRun(run)));

  it("records a run once, however often it is told", async () => {
    await record([aRun(1), aRun(1), aRun(1)]);
    await record([aRun(1)]);
    expect(await subject().runIds(bot("a"))).to.deep.equal(["container-1"]);
  });

  it("keeps the newest 50 runs of a bot and leaves other bots alone", async () => {
    await record([aRun(1_000, { bot: bot("b") })]);
    await record(Array.from({ length: 60 }, (_, i) => aRun(i + 1)));
    await record([aRun(61)]);
    expect(await subject().runIds(bot("a"))).to.deep.equal(newest(50, 61));
    expect(await subject().runIds(bot("b"))).to.deep.equal(["container-1000"]);
  });

  it("keeps 50 of the runs that ended at one moment", async () => {
    for (let i = 0; i < 52; i++) await record([aRun(i, { ended: new Date(7) })]);
    expect(await subject().runIds(bot("a"))).to.have.lengthOf(50);
  });
}

async function* tagged<T>(items: AsyncIterable<T>, idOf: (item: T) => string): AsyncGenerator<{ readonly id: string }> {
  for await (const item of items) yield { id: idOf(item) };
}
