import { expect } from "chai";
import { ObjectId } from "mongodb";
import type { FoundDocument } from "../../src/core/bot.ts";
import { type BotId, compareIds } from "../../src/core/ids.ts";
import { mergeSorted } from "../../src/core/merge.ts";
import { assignSegment, type Collection, nextTerm, reportStatus, type RecordId, reportUnowned } from "../../src/core/operations.ts";
import type { RunRecord } from "../../src/core/records.ts";
import type { LeaderStore } from "../../src/leader/ports.ts";
import type { WorkerStore } from "../../src/worker/ports.ts";
import type { Doc } from "../support/apply-operation.ts";
import { aFleetView, aSegment, aWorker, bot, epoch, segment, sid } from "../support/builders.ts";
import { eventually } from "../support/eventually.ts";
import { fields, operationCases } from "./operation-cases.ts";

export type Subject = {
  readonly store: LeaderStore & WorkerStore;
  /** What the user writes into an empty collection. */
  putBots(documents: readonly Doc[]): Promise<void>;
  put(collection: Collection, record: Doc): Promise<void>;
  get(collection: Collection, id: RecordId): Promise<Doc | undefined>;
  runs(): Promise<readonly RunRecord[]>;
  fleetView(): Promise<unknown>;
  /** Cursors that are open now. */
  openStreams(): Promise<number>;
};

const never = new AbortController().signal;
const twin = "65a0000000000000000000aa";
/** Ids that an order by UTF-16 units, by letters or by a collation would put elsewhere. */
const TRICKY = [
  ["", "A", "Z", "a", "b", "ä", "z", "é", "e\u0301", "10", "9", "-", "_", " ", "\u0000", "a\u0000", "a b", "ﬁ", "ß", "ss"],
  ["\ue000", "\uffff", "\u{10000}", "\u{1f600}", "\u{1f916}", "\u{10ffff}", "x\uffff", "x\u{10000}", "x\u{1f600}y", "x\u{1f600}"],
  ["é\u{1f600}", "é\uffee", `${"p".repeat(190)}a`, `${"p".repeat(190)}b`, `${"p".repeat(190)}A`, "p".repeat(190), "🤖".repeat(50)],
].flat();

const textOf = ({ raw }: FoundDocument): string => (raw.kind === "string" ? raw.value : raw.kind === "objectId" ? raw.hex : raw.text);

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const aRun = (id: string, minute: number, over: Partial<RunRecord> = {}): RunRecord => ({
  _id: id,
  bot: bot(),
  segment: segment(7),
  epoch: epoch(100),
  worker: "pod",
  started: null,
  ended: new Date(1_800_000_000_000 + minute * 60_000),
  exit: 0,
  oom: "no",
  startedWhy: "new",
  endedWhy: "crashed",
  log: "",
  ...over,
});

/** What every store of the protocol promises. Each test begins with an empty database. */
export function ledgerContract(subject: () => Subject): void {
  const store = (): LeaderStore & WorkerStore => subject().store;

  /** A reader does not wait until its cursor is closed. */
  const closed = () => eventually("the cursor is closed", async () => (await subject().openStreams()) === 0, 5_000);

  describe("apply()", () => {
    for (const { why, operation, given, gives } of operationCases) {
      it(`${gives === undefined ? "misses" : "wins"}: ${why}`, async () => {
        const { collection, id } = operation;
        if (given !== undefined) await subject().put(collection, given);
        expect(await store().apply(operation)).to.equal(gives === undefined ? "missed" : "won");
        const after = gives === "gone" ? undefined : gives === undefined ? given : { _id: id, ...given, ...gives };
        expect(await subject().get(collection, id)).to.deep.equal(after);
      });
    }

    it("touches no other document", async () => {
      await subject().put("segments", aSegment(1));
      await subject().put("segments", aSegment(2));
      await store().apply(assignSegment(segment(1), epoch(100), sid("a"), 1));
      expect(await subject().get("segments", 2)).to.deep.equal(aSegment(2));
    });

    it("lets one of many win a compare-and-set", async () => {
      await subject().put("control", { _id: "leader", term: 1 });
      const all = await Promise.all(Array.from({ length: 8 }, () => store().apply(nextTerm(1))));
      expect(all.filter((outcome) => outcome === "won")).to.have.lengthOf(1);
      expect(await store().leaderTerm()).to.equal(2);
    });

    it("lets the newest epoch have the last word in a race of upserts", async () => {
      const epochs = [3, 8, 1, 7, 2, 6, 5, 4];
      await Promise.all(epochs.map((n) => store().apply(reportStatus(bot(), epoch(n), sid(`s${n}`), fields()))));
      // A loser of the insert is told `missed`; it reports again, as every owner does.
      await Promise.all(epochs.map((n) => store().apply(reportStatus(bot(), epoch(n), sid(`s${n}`), fields()))));
      expect((await subject().get("status", bot()))?.["epoch"]).to.equal(8);
    });

    it("lets one of many say an unusable document's fault", async () => {
      const operation = reportUnowned({ document: "x" }, fields({ state: "invalid", message: "m" }));
      const all = await Promise.all(Array.from({ length: 8 }, () => store().apply(operation)));
      expect(all.filter((outcome) => outcome === "won")).to.have.lengthOf(1);
      expect(await store().countInvalid()).to.equal(1);
    });
  });

  describe("insert()", () => {
    it("inserts once and changes nothing afterwards", async () => {
      expect(await store().insert("segments", aSegment(1))).to.equal("inserted");
      expect(await store().insert("segments", aSegment(1, { term: 9 }))).to.equal("exists");
      expect(await subject().get("segments", 1)).to.deep.equal(aSegment(1));
    });

    it("gives one of many the place", async () => {
      const all = await Promise.all(Array.from({ length: 8 }, (_, n) => store().insert("workers", aWorker("a", { hbSeq: n }))));
      expect(all.filter((outcome) => outcome === "inserted")).to.have.lengthOf(1);
    });
  });

  describe("reads", () => {
    it("finds nothing where no collection exists", async () => {
      expect(await collect(store().stringBots(never))).to.deep.equal([]);
      expect(await collect(store().objectIdBots(never))).to.deep.equal([]);
      expect(await collect(store().otherBots(never))).to.deep.equal([]);
      expect(await collect(store().allPlacements(never))).to.deep.equal([]);
      expect(await collect(store().activePlacements([segment(1)], never))).to.deep.equal([]);
      expect(await store().findBots([bot()])).to.deep.equal([]);
      expect(await store().findPlacements([bot()])).to.deep.equal([]);
      expect(await store().findStatuses([bot()])).to.deep.equal([]);
      expect(await store().activeSegments()).to.deep.equal([]);
      expect(await store().segments()).to.deep.equal([]);
      expect(await store().ownedSegments(sid(), [])).to.deep.equal([]);
      expect(await store().workers()).to.deep.equal([]);
      expect(await store().fleet()).to.equal(undefined);
      expect(await store().leaderTerm()).to.equal(undefined);
      expect(await store().countInvalid()).to.equal(0);
    });

    it("reads back what was written", async () => {
      await subject().put("workers", aWorker("a"));
      await subject().put("segments", aSegment(1, { state: "assigned", owner: sid("a") }));
      await subject().put("segments", aSegment(2));
      for (const [id, n, active] of [
        ["x", 1, true],
        ["y", 2, true],
        ["z", 1, true],
        ["off", 3, false],
      ] as const)
        await subject().put("placements", { _id: id, segment: n, active, done: null });
      await store().apply(reportStatus(bot("x"), epoch(1), sid("a"), fields({ state: "running" })));
      await store().insert("control", { _id: "fleet", owner: "e", coordination: "none", schema: 1, incarnation: "i" });
      await store().publishFleet(aFleetView({ leader: "one" }));
      await store().publishFleet(aFleetView({ leader: "two", term: 2 }));
      await store().publishFleet(aFleetView({ leader: "three", term: 3 }));
      // A leader that stood still while another one followed: it wakes, and what it says is old.
      await store().publishFleet(aFleetView({ leader: "two", term: 2 }));
      await store().publishFleet(aFleetView({ leader: "one" }));

      expect(await store().fleetView()).to.deep.include({ leader: "three", term: 3 });
      expect(await store().workers()).to.deep.equal([aWorker("a")]);
      const mine = aSegment(1, { state: "assigned", owner: sid("a") });
      expect(await store().ownedSegments(sid("a"), [])).to.deep.equal([mine]);
      expect(await store().ownedSegments(sid("a"), [segment(1)])).to.deep.equal([mine]);
      expect(await store().segments()).to.have.lengthOf(2);
      expect(await store().activeSegments()).to.have.members([1, 2]);
      expect((await store().findPlacements([bot("y"), bot("none")])).map((p) => p._id)).to.deep.equal(["y"]);
      const batches = await collect(store().activePlacements([segment(1), segment(3)], never));
      expect(
        batches
          .flat()
          .map((p) => p._id)
          .toSorted(),
      ).to.deep.equal(["x", "z"]);
      expect((await store().findStatuses([bot("x"), bot("y")])).map((s) => s._id)).to.deep.equal(["x"]);
      expect((await store().fleet())?.owner).to.equal("e");
      expect(await subject().fleetView()).to.deep.include({ leader: "three" });
    });

    it("gives active placements in batches of at most 500", async () => {
      await Promise.all(
        Array.from({ length: 1_001 }, (_, n) => subject().put("placements", { _id: `b${n}`, segment: 1, active: true, done: null })),
      );
      const batches = await collect(store().activePlacements([segment(1)], never));
      expect(batches.every((batch) => batch.length <= 500)).to.equal(true);
      expect(new Set(batches.flat().map((p) => p._id)).size).to.equal(1_001);
    });
  });

  describe("bots", () => {
    const ids = ["65a000000000000000000001", "65a0000000000000000000ff", "000000000000000000000000", "ffffffffffffffffffffffff", twin];

    it("streams strings, ObjectIds and placements in the one order that merges", async () => {
      await subject().putBots([...TRICKY.map((_id) => ({ _id })), { _id: twin }, ...ids.map((hex) => ({ _id: new ObjectId(hex) }))]);
      for (const _id of TRICKY) await subject().put("placements", { _id, segment: 1, active: true, done: null });
      const strings = (await collect(store().stringBots(never))).map(textOf);
      const objectIds = (await collect(store().objectIdBots(never))).map(textOf);
      const placements = (await collect(store().allPlacements(never))).map((p) => p._id as string);
      expect(strings).to.deep.equal([...TRICKY, twin].toSorted(compareIds));
      expect(objectIds).to.deep.equal(ids.toSorted(compareIds));
      expect(placements).to.deep.equal(TRICKY.toSorted(compareIds));

      const streams: AsyncIterable<{ readonly id: string }>[] = [
        mapped(store().stringBots(never), textOf),
        mapped(store().objectIdBots(never), textOf),
        mapped(store().allPlacements(never), (p) => p._id),
      ];
      const rows = await collect(mergeSorted(streams, ({ id }) => id));
      expect(rows.map(({ id }) => id)).to.deep.equal([...new Set([...TRICKY, ...ids])].toSorted(compareIds));
      expect(rows.find(({ id }) => id === twin)?.parts.map((part) => part !== undefined)).to.deep.equal([true, true, false]);
    });

    it("finds both twins under one id, and nobody else", async () => {
      await subject().putBots([{ _id: twin, a: 1 }, { _id: new ObjectId(twin), b: 2 }, { _id: twin.toUpperCase() }, { _id: "c" }]);
      const found = await store().findBots([twin as BotId]);
      expect(found.map(({ raw }) => raw.kind).toSorted()).to.deep.equal(["objectId", "string"]);
      expect((await store().findBots([twin.toUpperCase() as BotId])).map(textOf)).to.deep.equal([twin.toUpperCase()]);
      expect((await store().findBots([bot("c"), bot("none")])).map(textOf)).to.deep.equal(["c"]);
      expect(await store().findBots([])).to.deep.equal([]);
    });

    it("sets apart what can only be reported", async () => {
      await subject().putBots([{ _id: "a" }, { _id: 5 }, { _id: { x: 1 } }, { _id: true }, { _id: new Date(0) }]);
      const found = await collect(store().otherBots(never));
      expect(found.map(({ raw }) => raw.kind)).to.deep.equal(Array.from({ length: 4 }, () => "other"));
      expect(new Set(found.map(textOf)).size).to.equal(4);
    });

    it("hands a document over as the user wrote it", async () => {
      const document = { _id: "a", enabled: false, env: { A: "1" }, config: [1, { "b.c": null }], when: new Date(0) };
      await subject().putBots([document]);
      expect(await store().findBots([bot("a")])).to.deep.equal([{ raw: { kind: "string", value: "a" }, document }]);
    });
  });

  describe("streams", () => {
    const many = Array.from({ length: 2_000 }, (_, n) => `bot-${n}`);

    it("streams 2,000 bots", async () => {
      await subject().putBots(many.map((_id) => ({ _id, image: "i" })));
      expect((await collect(store().stringBots(never))).map(textOf)).to.deep.equal(many.toSorted(compareIds));
      await closed();
    });

    it("closes its cursor when the reader leaves early", async () => {
      await subject().putBots(many.map((_id) => ({ _id, image: "i" })));
      for await (const found of store().stringBots(never)) {
        expect(textOf(found)).to.equal("bot-0");
        expect(await subject().openStreams()).to.equal(1);
        break;
      }
      await closed();
    });

    it("ends with the signal's own reason", async () => {
      await subject().putBots(many.map((_id) => ({ _id })));
      const over = new AbortController();
      const reason = new Error("enough");
      const read = async (): Promise<void> => {
        for await (const _ of store().stringBots(over.signal)) over.abort(reason);
      };
      expect(await read().catch((error: unknown) => error)).to.equal(reason);
    });
  });

  describe("recordRun()", () => {
    it("records a run once, however often it is told", async () => {
      await store().recordRun(aRun("c1", 1));
      await store().recordRun(aRun("c1", 1, { log: "more" }));
      expect(await subject().runs()).to.deep.equal([aRun("c1", 1, { log: "more" })]);
    });

    it("keeps the newest 50 of a bot and leaves others alone", async () => {
      await store().recordRun(aRun("other", 0, { bot: bot("other") }));
      for (let n = 0; n < 53; n++) await store().recordRun(aRun(`c${n}`, n));
      const kept = (await subject().runs()).map((run) => run._id);
      expect(kept.toSorted()).to.deep.equal(["other", ...Array.from({ length: 50 }, (_, n) => `c${n + 3}`)].toSorted());
    });

    it("keeps 50 of runs that ended in the same instant", async () => {
      for (let n = 0; n < 52; n++) await store().recordRun(aRun(`c${String(n).padStart(2, "0")}`, 1));
      expect(await subject().runs()).to.have.lengthOf(50);
    });
  });
}

async function* mapped<T>(items: AsyncIterable<T>, id: (item: T) => string): AsyncGenerator<{ readonly id: string }> {
  for await (const item of items) yield { id: id(item) };
}
