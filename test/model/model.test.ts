import { expect } from "chai";
import { SMALL } from "./bounds.ts";
import { search } from "./search.ts";

describe("model check: the protocol in all its interleavings, within small bounds", function () {
  this.timeout(120_000);

  for (const bounds of SMALL) {
    const { deaths, faults, late, moves } = bounds;
    it(`finds no broken invariant with ${deaths} deaths, ${faults} network faults (${late} late), ${moves} moves`, () => {
      const { broken, isWhole, states } = search(bounds);
      expect(
        broken?.trace.map(({ at, what }) => `t=${at} ${what}`),
        broken?.how.why,
      ).to.equal(undefined);
      expect(isWhole).to.equal(true);
      expect(states).to.be.greaterThan(1_000);
    });
  }
});
