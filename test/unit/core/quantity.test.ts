import { expect } from "chai";
import * as fc from "fast-check";
import { formatBytes, formatCpus, parseBytes, parseCpus } from "../../../src/core/quantity.ts";

const bytes = [
  { why: "binary units", text: "256Mi", gives: 268_435_456 },
  { why: "decimal units", text: "1G", gives: 1_000_000_000 },
  { why: "a plain number", text: "1024", gives: 1024 },
  { why: "a fraction of a unit", text: "1.5Gi", gives: 1_610_612_736 },
  { why: "an exponent", text: "1e3", gives: 1000 },
  { why: "E is exa when no digits follow", text: "0.001E", gives: 1_000_000_000_000_000 },
  { why: "a capital exponent", text: "12E6", gives: 12_000_000 },
  { why: "what JavaScript makes of a large number", text: String(1e15), gives: 1e15 },
  { why: "part of a byte counts as one", text: "1m", gives: 1 },
  { why: "a sign", text: "+5k", gives: 5000 },
  { why: "no digits before the point", text: ".5Ki", gives: 512 },
  { why: "no digits after it", text: "5.", gives: 5 },
  { why: "nothing at all", text: "0", gives: 0 },
];
const bad = [
  { why: "megabytes", text: "256MB", says: 'has the unknown unit "MB" (Kubernetes writes Mi or M)' },
  { why: "kilobytes", text: "64kb", says: 'has the unknown unit "kb" (Kubernetes writes Ki or k)' },
  { why: "a capital K", text: "64K", says: 'has the unknown unit "K" (Kubernetes writes Ki or k)' },
  { why: "another unit", text: "5parsec", says: 'has the unknown unit "parsec"' },
  { why: "less than nothing", text: "-1", says: "must not be negative" },
  { why: "a word", text: "much", says: "must be a number with a unit" },
  { why: "no text", text: "", says: "must be a number with a unit" },
  { why: "only a unit", text: "Mi", says: "must be a number with a unit" },
  { why: "spaces", text: "5 Mi", says: "must be a number with a unit" },
  { why: "too much", text: "9E", says: "is larger than any machine" },
  { why: "an exponent that goes on", text: "1e999", says: 'has the unknown unit "e999"' },
  { why: "not a number", text: String(Number.NaN), says: "must be a number with a unit" },
  { why: "a name every object has", text: "5constructor", says: 'has the unknown unit "constructo"' },
];

describe("quantities", () => {
  for (const { why, text, gives } of bytes)
    it(`reads ${text}: ${why}`, () => expect(parseBytes(text)).to.deep.equal({ ok: true, value: gives }));
  for (const { why, text, says } of bad) {
    it(`refuses "${text}": ${why}`, () => {
      const verdict = parseBytes(text);
      expect(verdict.ok ? "" : verdict.reason).to.include(says);
    });
  }
  for (const [text, nano] of [
    ["250m", 250_000_000],
    ["0.5", 500_000_000],
    ["2", 2_000_000_000],
    ["100n", 100],
    ["1.1n", 2],
  ] as const) {
    it(`reads ${text} CPUs`, () => expect(parseCpus(text)).to.deep.equal({ ok: true, value: nano }));
  }

  it("writes with the largest unit that fits", () => {
    expect([512 * 1024 ** 2, 1536, 0, 1000].map(formatBytes)).to.deep.equal(["512Mi", "1536", "0", "1000"]);
    expect([250_000_000, 2_000_000_000, 1, 0].map(formatCpus)).to.deep.equal(["250m", "2", "1n", "0"]);
  });
  it("reads back what it wrote", () =>
    fc.assert(
      fc.property(fc.maxSafeNat(), (n) => {
        expect(parseBytes(formatBytes(n))).to.deep.equal({ ok: true, value: n });
        expect(parseCpus(formatCpus(n))).to.deep.equal({ ok: true, value: n });
      }),
    ));
  it("has a verdict for every text", () =>
    fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => void expect(parseBytes(text).ok).to.be.a("boolean"))));
  it("has a verdict for every text that looks like one", () =>
    fc.assert(
      fc.property(
        fc.stringMatching(/^[+-]?\d{0,35}\.?\d{0,35}([eE][+-]?\d{0,3}|[KMGTPE]i?|[num])?$/),
        (text) => void expect(parseCpus(text).ok).to.be.a("boolean"),
      ),
    ));
});
