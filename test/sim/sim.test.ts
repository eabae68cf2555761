import { expect } from "chai";
import { Coverage } from "./coverage.ts";
import { neverSeen } from "./expected.ts";
import { perform, playOf, scriptedPlay } from "./play.ts";
import { regressions } from "./regressions.ts";
import { timeline, shrink } from "./shrink.ts";

/** How many plays the quick suite sees; `npm run sim` sees as many as one likes. */
const SEEDS = 200;
const MOST_SEEDS = 1_000;

describe("simulation: the protocol under faults, in virtual time", function () {
  this.timeout(120_000);
  const coverage = new Coverage();

  for (let from = 0; from < SEEDS; from += 25) {
    it(`keeps every invariant at every step: seeds ${from} to ${from + 24}`, () => {
      for (let seed = from; seed < from + 25; seed++) {
        const ending = perform(playOf(seed), coverage);
        if (ending.violation !== undefined) expect.fail(timeline(shrink(ending)));
        expect(ending.events).to.be.greaterThan(500);
      }
    });
  }

  it("has seen every fault, every pair of faults that overlap, and every operation won and missed", () => {
    // The rarest outcomes need three things at once: what 200 plays did not bring, some more must.
    for (let seed = SEEDS; seed < MOST_SEEDS && neverSeen(coverage).length > 0; seed++) perform(playOf(seed), coverage);
    expect(neverSeen(coverage)).to.deep.equal([]);
  });

  for (const { why, acts } of regressions) {
    it(`does not break again: ${why}`, () => {
      for (let seed = 0; seed < 10; seed++) {
        const ending = perform(scriptedPlay(seed, acts), new Coverage());
        if (ending.violation !== undefined) expect.fail(timeline(shrink(ending)));
      }
    });
  }

  it("plays the same seed the same way", () => {
    const [one, two] = [perform(playOf(7), new Coverage(), { isTold: true }), perform(playOf(7), new Coverage(), { isTold: true })];
    expect(one.lines).to.deep.equal(two.lines);
    expect(one.events).to.equal(two.events);
  });
});
