import { expect } from "chai";

import { Observer, type Sighting } from "../../../scripts/faults/observer.ts";
import type { Run } from "../../../scripts/faults/runs.ts";

const nothing: Omit<Sighting, "answeredAt"> = { askedAt: 0, workers: [], segments: [], statuses: [], placements: [] };
const segment = (epoch: number, owner: string | null, state = "assigned") => ({ _id: 1, state, owner, epoch });
const life = (epoch: number, first: number): Run => {
  return { bot: "a", epoch, run: "r", first, last: first + 100, count: 1, maxSeq: 0, maxGap: 0, ended: false };
};

describe("Observer", () => {
  const cases: { why: string; given: Partial<Sighting>[]; runs?: Run[]; gives: RegExp | undefined }[] = [
    { why: "nothing in a rising epoch", given: [{ segments: [segment(1, "x")] }, { segments: [segment(2, "y")] }], gives: undefined },
    { why: "an epoch that goes back", given: [{ segments: [segment(2, "x")] }, { segments: [segment(1, "x")] }], gives: /^I2/ },
    { why: "two owners of one epoch", given: [{ segments: [segment(1, "x")] }, { segments: [segment(1, "y")] }], gives: /^I2/ },
    {
      why: "a dead session that lives again",
      given: [{ workers: [{ _id: "x", state: "dead" }] }, { workers: [{ _id: "x", state: "up" }] }],
      gives: /^I4/,
    },
    {
      why: "a status that goes back",
      given: [{ statuses: [{ _id: "a", epoch: 2 }] }, { statuses: [{ _id: "a", epoch: 1 }] }],
      gives: /^I5/,
    },
    {
      why: "a bot that changes its segment",
      given: [{ placements: [{ _id: "a", segment: 1 }] }, { placements: [{ _id: "a", segment: 2 }] }],
      gives: /^I7/,
    },
    {
      why: "a start after the release",
      given: [{ placements: [{ _id: "a", segment: 1 }], segments: [segment(1, null, "free")] }],
      runs: [life(1, 1_500)],
      gives: /^I3/,
    },
    {
      why: "no fault in a start before the release was known",
      given: [{ placements: [{ _id: "a", segment: 1 }], segments: [segment(1, null, "free")] }],
      runs: [life(1, 900)],
      gives: undefined,
    },
    {
      why: "a start under an epoch that was followed by another",
      given: [{ placements: [{ _id: "a", segment: 1 }], segments: [segment(1, "x")] }, { segments: [segment(3, "y")] }],
      runs: [life(2, 2_500)],
      gives: /^I3/,
    },
  ];
  for (const { why, given, runs = [], gives } of cases) {
    it(`sees ${why}`, () => {
      const observer = new Observer();
      for (const [index, more] of given.entries()) observer.see({ ...nothing, ...more, answeredAt: 1_000 * (index + 1) });
      observer.judgeStarts(runs);
      expect(observer.breaches).to.have.lengthOf(gives === undefined ? 0 : 1);
      if (gives !== undefined) expect(observer.breaches[0]).to.match(gives);
    });
  }
});
