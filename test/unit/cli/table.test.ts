import { expect } from "chai";
import * as fc from "fast-check";
import { renderTable } from "../../../src/cli/table.ts";
import { fit, manyLines, oneLine, widthOf } from "../../../src/cli/terminal.ts";

describe("renderTable()", () => {
  it("lines columns up and leaves no blanks at the ends", () =>
    expect(
      renderTable(
        ["A", "LONG"],
        [
          ["bot", "x"],
          ["b", ""],
        ],
      ),
    ).to.equal("A    LONG\nbot  x\nb\n"));
  it("counts wide characters twice and combining ones not at all", () =>
    expect(
      renderTable(
        [],
        [
          ["日本", "x"],
          ["e\u0301", "y"],
          ["👩‍👩‍👧", "z"],
        ],
      ),
    ).to.equal("日本  x\ne\u0301     y\n👩‍👩‍👧    z\n"));
  it("shows controls instead of obeying them", () => expect(renderTable([], [["a\u001b[2J\nb\u202e"]])).to.equal("a\\x1b[2J\\nb\\u202e\n"));
  it("cuts the widest column first", () =>
    expect(renderTable(["BOT", "MESSAGE"], [["ticker", "a long message that goes on"]], 22)).to.equal(
      "BOT     MESSAGE\nticker  a long messag…\n",
    ));
  it("cuts nothing without a width", () => expect(renderTable([], [["x".repeat(500)]])).to.have.lengthOf(501));
  it("is empty without lines", () => expect(renderTable([], [])).to.equal(""));
  it("keeps to any width that leaves each column its least", () =>
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.string({ unit: "grapheme" }), fc.string(), fc.string({ unit: "grapheme" })), { minLength: 1 }),
        fc.integer({ min: 28, max: 120 }),
        (rows, width) => {
          for (const line of renderTable(["A", "B", "C"], rows, width).split("\n")) expect(widthOf(line)).to.be.at.most(width);
        },
      ),
    ));
});

describe("terminal text", () => {
  it("keeps line breaks and tabs where lines are wanted", () => expect(manyLines("a\tb\r\nc\rd\u001b")).to.equal("a\tb\nc\\rd\\x1b"));
  it("never lets a control through", () =>
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => void expect(oneLine(text)).to.not.match(/\p{Cc}|\u2028|\u2029|\u202e/u)),
    ));
  it("fits", () => expect([fit("日本語", 5), fit("abc", 3), fit("abcd", 3)]).to.deep.equal(["日本…", "abc", "ab…"]));
});
