import { expect } from "chai";

import { type Case, judgeCase, LAG_LIMIT_MS, repeatStarved, tally, type Verdict, worstOf } from "../../../scripts/faults/verdict.ts";

const good: Case = { duplicateMs: 0, unrunMs: 900, boundMs: 1_000, lagP99Ms: 5 };

describe("judgeCase()", () => {
  const cases: { why: string; given: Partial<Case>; gives: Verdict }[] = [
    { why: "within its bound", given: {}, gives: "pass" },
    { why: "at its bound", given: { unrunMs: 1_000 }, gives: "pass" },
    { why: "within its bound on a slow machine", given: { lagP99Ms: 900 }, gives: "pass" },
    { why: "over its bound on a calm machine", given: { unrunMs: 1_001, lagP99Ms: LAG_LIMIT_MS - 1 }, gives: "fail" },
    { why: "over its bound on a slow machine", given: { unrunMs: 1_001, lagP99Ms: LAG_LIMIT_MS }, gives: "starved" },
    { why: "with a duplicate, however slow the machine", given: { duplicateMs: 0.001, lagP99Ms: 9_000 }, gives: "fail" },
    { why: "with a fault of its own, however slow the machine", given: { faults: ["no leader"], lagP99Ms: 9_000 }, gives: "fail" },
  ];
  for (const { why, given, gives } of cases) {
    it(`${gives}: ${why}`, () => {
      expect(judgeCase({ ...good, ...given })).to.equal(gives);
    });
  }
});

describe("worstOf()", () => {
  for (const { given, gives } of [
    { given: ["pass", "pass"], gives: "pass" },
    { given: ["pass", "starved"], gives: "starved" },
    { given: ["starved", "fail", "pass"], gives: "fail" },
  ] as { given: Verdict[]; gives: Verdict }[])
    it(`${gives}: ${given.join(", ")}`, () => {
      expect(worstOf(...given)).to.equal(gives);
    });
});

describe("tally()", () => {
  const of = (pass: number, starved: number, failed = 0): Verdict[] => [
    ...Array<Verdict>(pass).fill("pass"),
    ...Array<Verdict>(starved).fill("starved"),
    ...Array<Verdict>(failed).fill("fail"),
  ];
  const cases: { why: string; given: Verdict[]; gives: "pass" | "fail" }[] = [
    { why: "all pass", given: of(5, 0), gives: "pass" },
    { why: "one fails", given: of(99, 0, 1), gives: "fail" },
    { why: "one starved case and its repeat", given: of(1, 1), gives: "pass" },
    { why: "one starved in ten", given: of(18, 2), gives: "pass" },
    { why: "more than one starved in ten", given: of(17, 2), gives: "fail" },
    { why: "starved twice", given: of(0, 2), gives: "fail" },
  ];
  for (const { why, given, gives } of cases) {
    it(`${gives}: ${why}`, () => {
      expect(tally(given).verdict).to.equal(gives);
    });
  }
});

describe("repeatStarved()", () => {
  const play = async (first: Verdict, ...left: Verdict[]) => {
    const seen = await repeatStarved({ verdict: first }, async () => [{ verdict: left.shift() ?? "fail" }]);
    return seen.map(({ verdict }) => verdict);
  };

  it("repeats a starved case once and nothing else", async () => {
    expect(await play("pass", "fail")).to.deep.equal(["pass"]);
    expect(await play("fail", "pass")).to.deep.equal(["fail"]);
    expect(await play("starved", "pass")).to.deep.equal(["starved", "pass"]);
    expect(await play("starved", "starved", "pass")).to.deep.equal(["starved", "starved"]);
  });
});
