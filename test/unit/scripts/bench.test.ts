import { expect } from "chai";
import { type Bench, judge } from "../../../scripts/lib/bench.ts";

describe("scripts/lib/bench judge()", () => {
  for (const { why, ratio, passes, says } of [
    { why: "on its target", ratio: 0.5, passes: true, says: "ratio 0.50, target 0.5, gate 0.40: met" },
    { why: "at the gate", ratio: 0.4, passes: true, says: "ratio 0.40, target 0.5, gate 0.40: missed, within the gate" },
    { why: "below the gate", ratio: 0.399, passes: false, says: "ratio 0.40, target 0.5, gate 0.40: MISSED" },
    { why: "of no rounds", ratio: Number.NaN, passes: false, says: "ratio NaN, target 0.5, gate 0.40: MISSED" },
    { why: "beside nothing", ratio: Infinity, passes: false, says: "ratio Infinity, target 0.5, gate 0.40: MISSED" },
  ])
    it(`${passes ? "lets a ratio pass" : "fails a ratio"} ${why}`, () => {
      const said: string[] = [];
      expect(judge({ say: (line: string) => said.push(line) } as unknown as Bench, "it", ratio, 0.5)).to.equal(passes);
      expect(said).to.deep.equal([`it: ${says}`]);
    });
});
