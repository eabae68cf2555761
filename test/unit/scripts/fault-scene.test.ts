import { expect } from "chai";

import type { Run } from "../../../scripts/faults/runs.ts";
import { Scene } from "../../../scripts/faults/scene.ts";
import { bootTimeMs, type Stage } from "../../../scripts/faults/stage.ts";

const life = (bot: string, first: number, last = first): Run => ({
  bot,
  epoch: 1,
  run: bot,
  first,
  last,
  count: 1,
  maxSeq: 0,
  maxGap: 0,
  ended: false,
});

/** A scene whose own clock stands at this time. */
const sceneAt = (now: number, runs: readonly Run[]) => {
  const stage: Pick<Stage, "everyMs" | "now" | "runs"> = { everyMs: 20, now: () => now, runs: async () => [...runs] };
  return new Scene(stage as Stage, { isShort: true, random: () => 0, round: 0 });
};

describe("Scene.running()", () => {
  const cases: { why: string; runs: readonly Run[]; closes: number }[] = [
    { why: "when it looked, where every bot sent before", runs: [life("a", 900, 990), life("b", 980)], closes: 1_000 },
    { why: "no earlier than the life that it saw, should its own clock be behind the beacons'", runs: [life("a", 1_007)], closes: 1_007 },
  ];
  for (const { why, runs, closes } of cases)
    it(`closes ${why}`, async () => {
      const bots = runs.map(({ bot }) => bot);
      expect(await sceneAt(1_000, runs).running(bots, 1_000, 500)).to.equal(closes);
    });
});

describe("bootTimeMs()", () => {
  it("is neither behind nor ahead of CLOCK_BOOTTIME", () => {
    // Whoever is kept from running between the two reads may try again.
    const apart = Array.from({ length: 20 }, () => {
      const before = Number(process.hrtime.bigint()) / 1e6;
      const asked = bootTimeMs();
      return Math.max(before - asked, asked - Number(process.hrtime.bigint()) / 1e6);
    });
    expect(Math.min(...apart)).to.be.at.most(0.01);
  });
});
