import { expect } from "chai";
import type { BotId } from "../../../src/core/ids.ts";
import { TakeOver } from "../../../src/worker/take-over.ts";
import { at, bot } from "../../support/builders.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const bots = (count: number): BotId[] => Array.from({ length: count }, (_, n) => bot(`b${n}`));

describe("worker/take-over", () => {
  let clock: FakeClock;
  let asked: { bot: BotId; at: number }[];
  let dice: number[];
  let takeOver: TakeOver;

  beforeEach(() => {
    clock = new FakeClock();
    asked = [];
    dice = [];
    takeOver = new TakeOver({
      clock,
      random: () => dice.shift() ?? 0.999,
      request: (who, when) => void asked.push({ bot: who, at: when }),
    });
  });

  it("lets starts in as they come while nothing is taken over", () => {
    expect(takeOver.admits(bot("a"))).to.equal(true);
    expect(asked).to.deep.equal([]);
  });

  it("lets no start in before every running bot was looked at, whoever asks", () => {
    takeOver.begin({ running: [bot("r1"), bot("r2")], starting: [bot("s")] });
    expect([takeOver.admits(bot("s")), takeOver.admits(bot("crashed"))]).to.deep.equal([false, false]);
    takeOver.looked(bot("r1"));
    takeOver.looked(bot("r1"));
    takeOver.looked(bot("s"));
    expect([takeOver.admits(bot("s")), asked]).to.deep.equal([false, []]);
    dice = [0, 0.5];
    takeOver.looked(bot("r2"));
    expect(asked).to.deep.equal([
      { bot: "s", at: 0 },
      { bot: "crashed", at: 10 },
    ]);
    expect([takeOver.admits(bot("s")), takeOver.admits(bot("crashed"))]).to.deep.equal([true, false]);
    expect(asked.at(-1)).to.deep.equal({ bot: "crashed", at: 10 });
  });

  for (const { why, starts, spreadMs } of [
    { why: "one bot does not wait", starts: 1, spreadMs: 0 },
    { why: "two come close together", starts: 2, spreadMs: 20 },
    { why: "the spread grows with their number", starts: 51, spreadMs: 1_000 },
    { why: "and never beyond two seconds", starts: 1_000, spreadMs: 2_000 },
  ]) {
    it(`spreads ${starts} starts over ${spreadMs} ms: ${why}`, async () => {
      await clock.advance(500);
      dice = [1];
      takeOver.begin({ running: [], starting: bots(starts) });
      expect(asked).to.have.lengthOf(starts);
      expect(asked[0]).to.deep.equal({ bot: "b0", at: 500 + spreadMs });
      expect(takeOver.admits(bot("b0"))).to.equal(spreadMs === 0);
      await clock.advance(spreadMs);
      expect(bots(starts).filter((b) => !takeOver.admits(b))).to.deep.equal([]);
    });
  }

  it("forgets a bot's turn once it was used", () => {
    dice = [0];
    takeOver.begin({ running: [], starting: bots(1) });
    expect([takeOver.admits(bot("b0")), takeOver.admits(bot("b0"))]).to.deep.equal([true, true]);
    expect(asked).to.deep.equal([{ bot: "b0", at: at(0) }]);
  });
});
