import { expect } from "chai";
import * as fc from "fast-check";
import { electionTimings, type Fitness, observeLeadership, type Sight, standingAt, takeLeadership } from "../../../src/core/election.ts";
import { at, sid } from "../../support/builders.ts";

const T = electionTimings(1_000);
const fit: Fitness = { isBarred: false, isBusy: false, isFresh: false };
const lease = (holder: string | null, version = "1", leaseMs = T.leaseMs) => ({
  record: { holder: holder === null ? null : sid(holder), leaseMs, changes: 3 },
  version,
});
const sight = (found: Sight["found"]): Sight => ({ found, since: at(100) });

describe("core/election", () => {
  it("gives a leader's work time to end before others may begin, whatever two clocks drift", () =>
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 60_000 }), (renewMs) => {
        const { leaseMs, renewDeadlineMs, retryMs, endMs } = electionTimings(renewMs);
        expect((renewDeadlineMs + endMs) / 0.95).to.be.below(leaseMs / 1.05);
        expect(renewDeadlineMs).to.be.above(1.2 * retryMs);
      }),
    ));

  for (const { why, found, self = "me", fitness = {}, ableSince = 100, gives } of [
    { why: "at once where there is no lease", found: undefined, gives: 100 },
    { why: "at once where it was given up", found: lease(null), gives: 100 },
    { why: "at once in its own name: of a process that is no more", found: lease("me"), gives: 100 },
    { why: "once another's has stood still for its length", found: lease("other"), gives: 8_100 },
    { why: "by the length in the record, not its own", found: lease("other", "1", 30_000), gives: 30_100 },
    { why: "a step later when it is busy", found: undefined, fitness: { isBusy: true }, gives: 1_600 },
    { why: "two steps later when it is fresh", found: undefined, fitness: { isFresh: true }, gives: 3_100 },
    { why: "three steps later when it is both", found: lease("other"), fitness: { isBusy: true, isFresh: true }, gives: 12_600 },
    { why: "not before it is able to", found: lease(null), ableSince: 900, gives: 900 },
    { why: "a step after it was able to when it is busy", found: lease(null), fitness: { isBusy: true }, ableSince: 900, gives: 2_400 },
    { why: "once another's has stood still, if it is able to by then", found: lease("other"), ableSince: 900, gives: 8_100 },
    { why: "never while it is barred", found: undefined, fitness: { isBarred: true }, gives: undefined },
    { why: "never while it is barred, in its own name either", found: lease("me"), fitness: { isBarred: true }, gives: undefined },
  ] as { why: string; found: Sight["found"]; self?: string; fitness?: Partial<Fitness>; ableSince?: number; gives: number | undefined }[])
    it(`lets a candidate take the lease ${why}`, () =>
      expect(standingAt(sight(found), sid(self), { ...fit, ...fitness }, T, at(ableSince))).to.equal(gives));

  for (const { why, before, found, since } of [
    { why: "counts from the first look", before: undefined, found: lease("a"), since: 500 },
    { why: "goes on while nothing was written", before: sight(lease("a")), found: lease("a"), since: 100 },
    { why: "goes on while there is none", before: sight(undefined), found: undefined, since: 100 },
    { why: "begins again with each write, by the same holder too", before: sight(lease("a")), found: lease("a", "2"), since: 500 },
    { why: "begins again when the lease is gone", before: sight(lease("a")), found: undefined, since: 500 },
  ])
    it(`a silence ${why}`, () => expect(observeLeadership(before, found, at(500)).since).to.equal(since));

  for (const { why, found, changes } of [
    { why: "a first holder", found: undefined, changes: 1 },
    { why: "another holder", found: lease("other"), changes: 4 },
    { why: "who takes one that was given up", found: lease(null), changes: 4 },
    { why: "nobody who renews", found: lease("me"), changes: 3 },
  ])
    it(`counts ${why}`, () => expect(takeLeadership(sid("me"), found, T)).to.deep.equal({ holder: "me", leaseMs: 8_000, changes }));
});
