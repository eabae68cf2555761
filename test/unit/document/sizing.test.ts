import { expect } from "chai";
import type { BotId } from "../../../src/core/ids.ts";
import { desiredReplicas } from "../../../src/core/scaling.ts";
import { segmentOf } from "../../../src/core/segment.ts";
import { readPages } from "../../support/markdown.ts";

const page = readPages().find(({ path }) => path === "docs/sizing.md");
const examples = (page?.rows ?? []).filter((row) => row.length === 11 && row[0] !== "bots");

/** A row as the formulas of the page, and the product's own code, have it. */
function compute(bots: number, maxSegment: number, min: number, max: number, standby: number): number[] {
  const sizes = new Map<number, number>();
  for (let at = 1; at <= bots; at++) {
    const segment = segmentOf(`bot-${at}` as BotId, maxSegment);
    sizes.set(segment, (sizes.get(segment) ?? 0) + 1);
  }
  const active = sizes.size;
  const pods = desiredReplicas({ active, lost: 0 }, { min, max, standby, cooldownMs: 0 });
  const workers = Math.min(pods - 1, active);
  return [active, pods, workers, Math.ceil(active / workers), Math.round(bots / workers), Math.max(...sizes.values())];
}

describe("docs/sizing.md", () => {
  it("has examples", () => expect(examples).to.have.lengthOf.at.least(5));

  for (const row of examples) {
    const [bots = 0, maxSegment = 1, min = 1, max = 1, standby = 0, ...shown] = row.map(Number);
    it(`computes the example of ${bots} bots in ${maxSegment} segments with at most ${max} pods`, () => {
      expect(shown).to.deep.equal(compute(bots, maxSegment, min, max, standby));
    });
  }

  it("says from which number of bots on the defaults share", () => {
    const average = (bots: number) => 64 * (1 - (63 / 64) ** bots);
    expect(Math.round(average(60))).to.equal(39);
    expect(Math.round(average(300))).to.be.at.least(63);
  });
});
