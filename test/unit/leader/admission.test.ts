import { EventEmitter } from "node:events";
import { expect } from "chai";
import { ObjectId } from "mongodb";
import type { AdmissionStep } from "../../../src/core/admission.ts";
import { StoreUnreachableError } from "../../../src/core/errors.ts";
import { segmentOf } from "../../../src/core/segment.ts";
import { createBotReader } from "../../../src/document/read-bot.ts";
import { Admission } from "../../../src/leader/admission.ts";
import type { LeaderEvents } from "../../../src/leader/events.ts";
import { rejection } from "../../contract/engine.suite.ts";
import { fields } from "../../contract/operation-cases.ts";
import { bot } from "../../support/builders.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { aDocument, MAX_SEGMENT } from "../../support/fleet.ts";
import { ModelStore } from "../../support/model-store.ts";

const never = new AbortController().signal;
const twin = "65a0000000000000000000aa";

const placed = (id: string, over: object = {}) => ({ _id: id, segment: 3, active: true, done: null, ...over });

describe("leader/admission Admission", () => {
  let store: ModelStore;
  let steps: AdmissionStep[];
  let unusable: string[];
  let merged: LeaderEvents["admission:merged"][0][];
  let admission: Admission;
  /** The reader of documents, which counts them. */
  let read: ReturnType<typeof createBotReader> & { count: number };

  beforeEach(() => {
    store = new ModelStore();
    [steps, unusable, merged] = [[], [], []];
    const bus = new EventEmitter<LeaderEvents>();
    bus.on("admission:stepped", ({ step }) => steps.push(step));
    bus.on("document:unusable", ({ document }) => unusable.push(document));
    bus.on("admission:merged", (told) => merged.push(told));
    const reader = createBotReader({ maxStopGraceSeconds: 60 });
    read = Object.assign((...of: Parameters<typeof reader>) => ((read.count += 1), reader(...of)), { count: 0 });
    admission = new Admission({ store, read, maxSegment: MAX_SEGMENT, clock: new FakeClock(), bus });
  });
  afterEach(() => expect(store.openStreams).to.equal(0));

  const kinds = () => steps.map((step) => `${step.kind} ${step.bot}`);
  const statusOf = (id: Parameters<ModelStore["get"]>[1]) => store.get("status", id);

  // Both ways must come to the same end: all bots in one pass, or the ones that a hint named.
  for (const { way, go } of [
    { way: "merge", go: () => admission.merge(never) },
    { way: "look", go: async () => void (await admission.look(["a", "b", "c", twin].map(bot))) },
  ]) {
    describe(`${way}()`, () => {
      it("places new bots in the segment of their name", async () => {
        for (const document of [aDocument("a"), aDocument("b", { enabled: false }), aDocument(new ObjectId(twin))]) store.putBot(document);
        await go();
        expect(store.get("placements", "a")).to.deep.equal(placed("a", { segment: segmentOf(bot("a"), MAX_SEGMENT) }));
        expect(store.get("placements", "b")).to.deep.equal(placed("b", { segment: segmentOf(bot("b"), MAX_SEGMENT), active: false }));
        expect(store.get("placements", twin)).to.deep.equal(placed(twin, { segment: segmentOf(bot(twin), MAX_SEGMENT) }));
      });

      it("leaves a known bot in its segment, whatever its name says now", async () => {
        store.putBot(aDocument("a"));
        store.put("placements", placed("a", { segment: 4_711, active: false }));
        await go();
        expect(store.get("placements", "a")).to.deep.equal(placed("a", { segment: 4_711 }));
        expect(kinds()).to.deep.equal(["activate a"]);
      });

      it("forgets a deleted bot with its status, once it is inactive", async () => {
        for (const id of ["a", "b"]) store.put("status", { _id: id, epoch: 5, sid: "s", ...fields({ state: "stopped" }) });
        store.put("placements", placed("a", { active: false }));
        store.put("placements", placed("b"));
        await go();
        expect([store.get("placements", "a"), statusOf("a")]).to.deep.equal([undefined, undefined]);
        expect([store.get("placements", "b"), statusOf("b")?.["state"]]).to.deep.equal([placed("b"), "stopped"]);
        expect(kinds()).to.deep.equal(["forget a"]);
      });

      it("reports a malformed document, and places it as inactive", async () => {
        store.putBot(aDocument("a", { image: 5 }));
        await go();
        expect(store.get("placements", "a")?.["active"]).to.equal(false);
        expect(statusOf("a")?.["state"]).to.equal("invalid");
        expect(String(statusOf("a")?.["message"])).to.match(/^image: /);
      });

      it("leaves an active bot that turned invalid to its owner", async () => {
        store.putBot(aDocument("a", { image: 5 }));
        store.put("placements", placed("a"));
        store.put("status", { _id: "a", epoch: 5, sid: "s", ...fields() });
        await go();
        expect([kinds(), statusOf("a")?.["state"]]).to.deep.equal([[], "running"]);
      });

      it("calls the string twin of an ObjectId unusable, and runs the ObjectId", async () => {
        store.putBot(aDocument(new ObjectId(twin)));
        store.putBot(aDocument(twin, { enabled: false }));
        await go();
        expect(store.get("placements", twin)?.["active"]).to.equal(true);
        expect([statusOf(twin), statusOf({ document: twin })?.["state"]]).to.deep.equal([undefined, "invalid"]);
        expect(unusable).to.deep.equal([twin]);
      });

      it("does nothing a second time", async () => {
        for (const document of [aDocument("a"), aDocument("b", { image: 5 }), aDocument(twin), aDocument(new ObjectId(twin))])
          store.putBot(document);
        await go();
        const before = [steps.length, unusable.length];
        await go();
        expect([steps.length, unusable.length]).to.deep.equal(before);
      });
    });
  }

  it("reports what cannot name a bot, once, and writes no placement for it", async () => {
    for (const _id of [5, { a: 1 }, "", "x".repeat(201)]) store.putBot(aDocument(_id));
    await admission.merge(never);
    await admission.merge(never);
    expect(unusable).to.have.lengthOf(4);
    expect(store.get("status", { document: '{"$numberInt":"5"}' })?.["message"]).to.contain("must be a string or an ObjectId");
    expect(kinds()).to.deep.equal([]);
    expect(await store.activeSegments()).to.deep.equal([]);
  });

  it("tells how much it compared", async () => {
    for (const document of [aDocument("a"), aDocument("b"), aDocument(new ObjectId(twin))]) store.putBot(document);
    await admission.merge(never);
    await admission.merge(never);
    expect(merged.map(({ documents, steps }) => [documents, steps])).to.deep.equal([
      [3, 3],
      [3, 0],
    ]);
  });

  it("writes one batch while it reads the next one, and reads no further", async () => {
    for (let n = 0; n < 2_000; n++) store.putBot(aDocument(`bot-${n}`, { enabled: false }));
    const gate = Promise.withResolvers<void>();
    store.before("insertPlacements", () => gate.promise);
    read.count = 0;
    const merging = admission.merge(never);
    for (let seen = -1; seen !== read.count;) {
      seen = read.count;
      await new Promise((turn) => setImmediate(turn));
    }
    expect(read.count).to.equal(400);
    gate.resolve();
    await merging;
    expect([read.count, (await store.findPlacements([bot("bot-0"), bot("bot-1999")])).length]).to.deep.equal([2_000, 2]);
  });

  it("does not read the documents of active bots: they are their owners'", async () => {
    for (const id of ["a", "b", "c"]) store.putBot(aDocument(id));
    store.put("placements", placed("a"));
    store.put("placements", placed("b", { active: false }));
    await admission.merge(never);
    expect(read.count).to.equal(2);
  });

  describe("races", () => {
    it("does not forget a bot that was inserted after the merge had passed it by", async () => {
      store.put("placements", placed("a", { active: false }));
      store.before("findBots", () => store.putBot(aDocument("a")));
      await admission.merge(never);
      expect(store.get("placements", "a")?.["active"]).to.equal(true);
    });

    it("does not forget a bot that became active before the forgetting arrived", async () => {
      store.put("placements", placed("a", { active: false }));
      store.before("apply", () => store.put("placements", placed("a")));
      await admission.merge(never);
      expect(store.get("placements", "a")).to.deep.equal(placed("a"));
    });

    it("places a bot that is deleted meanwhile; its owner's proof and the next merge undo that", async () => {
      store.putBot(aDocument("a"));
      store.before("insertPlacements", () => store.deleteBot("a"));
      await admission.merge(never);
      expect(store.get("placements", "a")?.["active"]).to.equal(true);
      store.put("placements", placed("a", { active: false }));
      await admission.merge(never);
      expect(store.get("placements", "a")).to.equal(undefined);
    });

    it("lets a second leader place the same bot first", async () => {
      store.putBot(aDocument("a", { enabled: false }));
      store.before("insertPlacements", () => store.put("placements", placed("a", { segment: 9 })));
      await admission.merge(never);
      expect(store.get("placements", "a")).to.deep.equal(placed("a", { segment: 9 }));
    });
  });

  describe("faults", () => {
    for (const { method, after } of [
      { method: "stringBots", after: 0 },
      { method: "objectIdBots", after: 0 },
      { method: "allPlacements", after: 0 },
      { method: "insertPlacements", after: 0 },
      { method: "findBots", after: 0 },
      { method: "otherBots", after: 0 },
    ] as const) {
      it(`stops at a fault of ${method}, and finishes in the next pass`, async () => {
        for (const id of ["a", "b", "c", "d"]) store.putBot(aDocument(id));
        store.put("placements", placed("gone", { active: false }));
        store.failNext(method, undefined, after);
        expect(await rejection(admission.merge(never))).to.be.instanceOf(StoreUnreachableError);
        expect([merged, store.openStreams]).to.deep.equal([[], 0]);
        await admission.merge(never);
        expect(["a", "b", "c", "d"].every((id) => store.get("placements", id)?.["active"] === true)).to.equal(true);
        expect(store.get("placements", "gone")).to.equal(undefined);
      });
    }

    it("finishes the forgetting of a bot whose status was left behind", async () => {
      store.put("placements", placed("a", { active: false }));
      store.put("status", { _id: "a", epoch: 5, sid: "s", ...fields({ state: "stopped" }) });
      store.failNext("apply", undefined, 1);
      await rejection(admission.merge(never));
      await admission.merge(never);
      expect([store.get("placements", "a"), statusOf("a")]).to.deep.equal([undefined, undefined]);
    });

    it("ends when it is told to", async () => {
      for (let n = 0; n < 10; n++) store.putBot(aDocument(`bot-${n}`));
      const over = new AbortController();
      store.before("insertPlacements", () => over.abort(new Error("enough")));
      expect(await rejection(admission.merge(over.signal))).to.equal(over.signal.reason);
    });
  });
});
