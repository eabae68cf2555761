import { expect } from "chai";
import * as fc from "fast-check";
import type { BotId, SegmentId } from "../../../src/core/ids.ts";
import { Books } from "../../../src/leader/books.ts";
import { aSegment, bot, epoch, segment } from "../../support/builders.ts";
import { ModelStore } from "../../support/model-store.ts";

const place = (store: ModelStore, id: string, at: number, active = true): void =>
  store.put("placements", { _id: bot(id), segment: segment(at), active, done: null });

describe("leader/books Books", () => {
  let store: ModelStore;
  let reads: string[];
  let books: Books;
  beforeEach(() => {
    store = new ModelStore();
    reads = [];
    const segments = store.segments.bind(store);
    store.segments = (some) => (reads.push(some === undefined ? "all" : some.join()), segments(some));
    books = new Books(store);
  });
  const sorted = async () => {
    const { active, segments } = await books.read();
    return { active: active.toSorted((a, b) => a - b), segments: segments.toSorted((a, b) => a._id - b._id) };
  };

  it("reads everything once, and then only what hints name", async () => {
    for (const id of [1, 2, 3]) store.put("segments", aSegment(id));
    await books.read();
    await books.read();
    store.put("segments", aSegment(2, { epoch: epoch(900) }));
    books.onSegments({ kind: "some", ids: ["2"] });
    expect((await sorted()).segments[1]?.epoch).to.equal(900);
    expect(reads).to.deep.equal(["all", "2"]);
  });

  it("counts the segments of bots that hints name", async () => {
    place(store, "a", 1);
    await books.read();
    place(store, "a", 1, false);
    place(store, "b", 2);
    books.onPlacements({ kind: "some", ids: ["a", "b"] });
    expect((await sorted()).active).to.deep.equal([2]);
  });

  it("reads again what it could not read", async () => {
    await books.read();
    store.put("segments", aSegment(4));
    books.touch(segment(4));
    store.failNext("segments");
    const failed = await books.read().catch((error: Error) => error.name);
    expect([failed, (await sorted()).segments.length]).to.deep.equal(["StoreUnreachableError", 1]);
  });

  it("knows what a full read would give, after any changes that hints tell of", () => {
    const change = fc.record({ id: fc.constantFrom("a", "b", "c", "d"), at: fc.nat(3), active: fc.boolean(), gone: fc.boolean() });
    return fc.assert(
      fc.asyncProperty(fc.array(fc.array(change, { maxLength: 4 }), { maxLength: 8 }), async (rounds) => {
        const world = new ModelStore();
        const copy = new Books(world);
        const home = new Map<string, number>();
        for (const round of rounds) {
          for (const { id, at, active, gone } of round) {
            const place_ = home.get(id) ?? at; // a bot keeps its segment for life
            home.set(id, place_);
            if (gone) await world.apply({ op: "x", collection: "placements", id, where: [], remove: true });
            else place(world, id, place_, active);
            world.put("segments", aSegment(at, { epoch: epoch(Math.floor(at * 100 + home.size)) }));
            copy.onPlacements({ kind: "some", ids: [id] });
            copy.onSegments({ kind: "some", ids: [String(at)] });
          }
          const { active, segments } = await copy.read();
          expect(new Set<SegmentId>(active)).to.deep.equal(new Set(await world.activeSegments()));
          expect(new Map(segments.map((s) => [s._id, s]))).to.deep.equal(new Map((await world.segments()).map((s) => [s._id, s])));
        }
      }),
    );
  });

  it("reads all when hints name very many", async () => {
    await books.read();
    const ids = Array.from({ length: 501 }, (_, i) => `b${i}` as BotId);
    books.onPlacements({ kind: "some", ids });
    await books.read();
    expect(reads).to.deep.equal(["all", "all"]);
  });
});
