import { expect } from "chai";
import { BSON, MongoAPIError, MongoServerError, ObjectId } from "mongodb";
import { BotSource, rawIdOf, type UserCollection } from "../../../src/mongo/bots.ts";
import { Gathered } from "../../../src/mongo/gathered.ts";
import { Guard } from "../../../src/mongo/guard.ts";

const never = new AbortController().signal;
const hex = "a".repeat(24);

/** As much of the driver's collection as a reader uses: one batch of documents by type. */
function collectionOf(strings: readonly string[], optionsOf: () => Promise<object> = async () => ({})) {
  const asked: object[] = [];
  const find = (filter: { _id: { $type: unknown } }, options: object) => {
    asked.push(options);
    const rest = filter._id.$type === "string" ? strings.map((_id) => ({ _id })) : [];
    return { next: async () => rest.shift() ?? null, readBufferedDocuments: () => [], close: async () => {} };
  };
  return { asked, bots: { find, options: optionsOf } as unknown as UserCollection };
}

async function textsOf(items: AsyncIterable<{ readonly raw: unknown }>): Promise<unknown[]> {
  const raws: unknown[] = [];
  for await (const { raw } of items) raws.push(raw);
  return raws;
}

const change = (_id: unknown): object => ({ operationType: "update", documentKey: { _id } });
const gather = (what: "bots" | "segments", changes: readonly object[]): unknown => {
  const gathered = new Gathered(what);
  for (const one of changes) gathered.add(one);
  const hints = gathered.take();
  expect(gathered.take()).to.deep.equal([]);
  return hints;
};
const many = (count: number): object[] => Array.from({ length: count }, (_, i) => change(`a${i}`));

describe("mongo: bots", () => {
  for (const { why, id, gives } of [
    { why: "a string", id: "a", gives: { kind: "string", value: "a" } },
    { why: "an ObjectId", id: new ObjectId(hex), gives: { kind: "objectId", hex } },
    { why: "a number", id: 5, gives: { kind: "other", text: '{"$numberInt":"5"}' } },
    { why: "null", id: null, gives: { kind: "other", text: "null" } },
    { why: "a long", id: BSON.Long.MAX_VALUE, gives: { kind: "other", text: '{"$numberLong":"9223372036854775807"}' } },
    { why: "bytes that were not UTF-8", id: "a\ufffd", gives: { kind: "other", text: '"a\ufffd"' } },
    { why: "a long document", id: { a: "x".repeat(300) }, gives: { kind: "other", text: `{"a":"${"x".repeat(194)}` } },
  ]) {
    it(`names ${why}`, () => expect(rawIdOf(id)).to.deep.equal(gives));
  }

  it("leaves ids that are not UTF-8 out of the sorted stream and gives them with the unusable ones", async () => {
    const source = new BotSource(collectionOf(["a", "\ufffd", "b"]).bots, new Guard(1_000));
    expect(await textsOf(source.byString(never))).to.deep.equal([rawIdOf("a"), rawIdOf("b")]);
    expect(await textsOf(source.byOther(never))).to.deep.equal([rawIdOf("\ufffd")]);
  });

  for (const { why, options, gives } of [
    { why: "nothing is said of order", options: async () => ({}), gives: undefined },
    { why: "the collection has an order of its own", options: async () => ({ collation: { locale: "de" } }), gives: { locale: "simple" } },
    { why: "the user may not ask", options: () => Promise.reject(new MongoServerError({ code: 13 })), gives: { locale: "simple" } },
    { why: "there is no collection", options: () => Promise.reject(new MongoAPIError("none")), gives: undefined },
  ]) {
    it(`asks for the order of bytes: ${why}`, async () => {
      const { bots, asked } = collectionOf(["a"], options);
      await textsOf(new BotSource(bots, new Guard(1_000)).byString(never));
      expect((asked[0] as { readonly collation?: unknown }).collation).to.deep.equal(gives);
    });
  }
});

describe("mongo: Gathered", () => {
  for (const { why, what = "bots", changes, gives } of [
    { why: "nothing", changes: [], gives: [] },
    {
      why: "an id once, however often it changed",
      changes: [change("a"), change("a"), change(new ObjectId(hex))],
      gives: [{ kind: "some", ids: ["a", hex] }],
    },
    { why: "an id that names no bot", changes: [change(5), change("")], gives: [{ kind: "unusable" }] },
    { why: "both", changes: [change(5), change("a")], gives: [{ kind: "some", ids: ["a"] }, { kind: "unusable" }] },
    { why: "1,000 ids", changes: many(1_000), gives: [{ kind: "some", ids: many(1_000).map((_, i) => `a${i}`) }] },
    { why: "1,001 ids", changes: many(1_001), gives: [{ kind: "all" }] },
    { why: "a dropped collection", changes: [change("a"), { operationType: "drop" }, change("b")], gives: [{ kind: "all" }] },
    { why: "segments, by number", what: "segments" as const, changes: [change(3), change(0)], gives: [{ kind: "some", ids: ["3", "0"] }] },
  ]) {
    it(`tells ${why}`, () => expect(gather(what, changes)).to.deep.equal(gives));
  }
});
