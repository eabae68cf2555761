import { expect } from "chai";
import * as fc from "fast-check";
import { botIdOf, compareIds, containerName } from "../../../src/core/ids.ts";
import { crc32, segmentOf } from "../../../src/core/segment.ts";
import { bot } from "../../support/builders.ts";

const anId = fc.string({ unit: "grapheme", minLength: 1, maxLength: 60 });

describe("core/ids", () => {
  for (const { why, raw, gives } of [
    { why: "a plain name is itself", raw: { kind: "string", value: "market-maker 1" }, gives: "market-maker 1" },
    { why: "an ObjectId is its hex form", raw: { kind: "objectId", hex: "507f1f77bcf86cd799439011" }, gives: "507f1f77bcf86cd799439011" },
    { why: "200 characters are allowed", raw: { kind: "string", value: "x".repeat(200) }, gives: "x".repeat(200) },
    { why: "201 characters are refused", raw: { kind: "string", value: "x".repeat(201) }, gives: undefined },
    { why: "an empty name is refused", raw: { kind: "string", value: "" }, gives: undefined },
    { why: "half a surrogate pair is refused", raw: { kind: "string", value: "a\ud800" }, gives: undefined },
    { why: "a number is refused", raw: { kind: "other", text: '{"$numberInt":"42"}' }, gives: undefined },
  ] as const) {
    it(why, () => {
      const verdict = botIdOf(raw);
      expect(verdict.ok ? verdict.id : undefined).to.equal(gives);
      if (!verdict.ok) expect(verdict.reason).to.match(/^_id: must .*: insert the bot again/);
    });
  }

  it("containerName() never gives two ids one name", () => {
    fc.assert(fc.property(anId, anId, (a, b) => (a === b) === (containerName(bot(a)) === containerName(bot(b)))));
  });

  it("containerName() never collides on ids that differ in one character of the escape alphabet", () => {
    const tricky = fc.string({ unit: fc.constantFrom("_", "-", "a", "A", "2", "0", " ", "."), minLength: 1, maxLength: 8 });
    fc.assert(fc.property(tricky, tricky, (a, b) => (a === b) === (containerName(bot(a)) === containerName(bot(b)))));
  });

  it("containerName() is always a name that Docker takes", () => {
    fc.assert(fc.property(anId, (id) => /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(containerName(bot(id)))));
  });

  it("compareIds() orders as UTF-8 bytes do", () => {
    const text = fc.string({ unit: "binary", maxLength: 12 });
    fc.assert(
      fc.property(
        text,
        text,
        (a, b) => Math.sign(compareIds(a, b)) === Math.sign(Buffer.compare(Buffer.from(a, "utf8"), Buffer.from(b, "utf8"))),
      ),
    );
  });
});

describe("core/segment", () => {
  for (const { text, gives } of [
    { text: "", gives: 0 },
    { text: "123456789", gives: 0xcbf43926 },
    { text: "The quick brown fox jumps over the lazy dog", gives: 0x414fa339 },
  ]) {
    it(`crc32("${text}") is the IEEE check value`, () => expect(crc32(text)).to.equal(gives));
  }

  it("segmentOf() stays within MAX_SEGMENT", () => {
    fc.assert(
      fc.property(anId, fc.integer({ min: 1, max: 4096 }), (id, max) => segmentOf(bot(id), max) < max && segmentOf(bot(id), max) >= 0),
    );
  });
});
