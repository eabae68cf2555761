import { expect } from "chai";
import { planApply } from "../../../src/cli/apply.ts";
import { readBotFile } from "../../../src/cli/bot-file.ts";
import { createBotReader } from "../../../src/document/read-bot.ts";

const ids = (text: string) => readBotFile("f", text).bots.map(({ where, found }) => [where, found.raw]);
const faults = (text: string) => readBotFile("f", text).faults.join("\n");
const plan = (text: string) => planApply("f", text, createBotReader({ maxStopGraceSeconds: 60 }));
const named = (value: string) => ({ kind: "string", value });

describe("readBotFile()", () => {
  it("takes several documents", () =>
    expect(ids("_id: a\n---\n_id: b\n")).to.deep.equal([
      ["f: document 1", named("a")],
      ["f: document 2", named("b")],
    ]));
  it("takes JSON", () => expect(ids('{"_id":"a","image":"x"}')).to.deep.equal([["f: document 1", named("a")]]));
  it("takes lists", () =>
    expect(ids('[{"_id":"a"},{"_id":"b"}]')).to.deep.equal([
      ["f: document 1, item 1", named("a")],
      ["f: document 1, item 2", named("b")],
    ]));
  it("takes MongoDB's way of writing an ObjectId", () =>
    expect(ids('{"_id":{"$oid":"65F0A0A0A0A0A0A0A0A0A0A0"}}')[0]?.[1]).to.deep.equal({
      kind: "objectId",
      hex: "65f0a0a0a0a0a0a0a0a0a0a0",
    }));
  it("takes anchors", () =>
    expect(readBotFile("f", "_id: a\nx: &x {m: 1}\ny: {<<: *x}\n").bots[0]?.found.document.y).to.deep.equal({ m: 1 }));
  it("leaves empty documents out", () => expect(ids("---\n---\n_id: a\n---\n")).to.have.lengthOf(1));

  for (const { why, text, says } of [
    { why: "nothing in it", text: "", says: "f: has no bot in it" },
    { why: "no id", text: "image: x", says: "f: document 1: _id: is missing" },
    { why: "a word", text: "hello", says: "f: document 1: must be an object" },
    { why: "a list of words", text: "[a]", says: "f: document 1, item 1: must be an object" },
    { why: "bad syntax, with its line", text: "_id: a\n---\n_id: b\nx: [1", says: "f: document 2, line 4: " },
    { why: "a key twice", text: "_id: a\n_id: b", says: "Map keys must be unique" },
    { why: "a tag that nobody knows", text: "_id: a\nenv: {A: !secret x}", says: "f: document 1, line 2: Unresolved tag" },
    {
      why: "aliases that grow",
      text: `_id: a\na: &a [x,x,x,x,x,x,x,x,x]\n${"bcdefgh"
        .split("")
        .map((c, i) => `${c}: &${c} [${Array(9).fill(`*${"abcdefg"[i]}`).join()}]`)
        .join("\n")}`,
      says: "write it without aliases",
    },
  ]) {
    it(`refuses ${why}`, () => expect(faults(text)).to.include(says));
  }
});

describe("planApply()", () => {
  it("shows every fault of every document", () => {
    const { faults } = plan("_id: a\nimage: X\nrestart: no\n---\n_id: b\n---\n_id: 5\nimage: x\n");
    expect(faults.map((f) => f.split(": must")[0])).to.deep.equal([
      "f: document 1, a: image",
      "f: document 1, a: restart",
      "f: document 2, b: image",
      'f: document 3, "the number 5": _id',
    ]);
  });
  it("refuses a name twice", () =>
    expect(plan("[{_id: a, image: x}, {_id: a, image: y}]").faults).to.deep.equal([
      "f: document 1, item 2, a: _id: must not occur twice, got it in f: document 1, item 1, a as well: rename one of the two",
    ]));
  it("passes warnings on", () =>
    expect(plan("{_id: a, image: x, imagee: y}").warnings).to.deep.equal([
      "f: document 1, a: imagee: is not a field and has no effect: did you mean image?",
    ]));
});
