import { expect } from "chai";
import { planAdmission } from "../../../src/core/admission.ts";
import type { BotReading } from "../../../src/core/bot.ts";
import type { PlacementRecord } from "../../../src/core/records.ts";
import { aReading, bot, hash, segment } from "../../support/builders.ts";

const placed = (over: Partial<PlacementRecord> = {}): PlacementRecord => ({
  _id: bot(),
  segment: segment(3),
  active: true,
  done: null,
  ...over,
});
const invalid: BotReading = { kind: "invalid", id: bot(), document: "ticker", faults: ["image: is missing"] };

describe("core/admission planAdmission()", () => {
  for (const { why, reading, placement, gives } of [
    { why: "places a new bot", reading: aReading(), placement: undefined, gives: [{ kind: "place", bot: "ticker", active: true }] },
    {
      why: "places a disabled bot as inactive",
      reading: aReading({ enabled: false }),
      placement: undefined,
      gives: [{ kind: "place", bot: "ticker", active: false }],
    },
    {
      why: "places an invalid bot as inactive and says why",
      reading: invalid,
      placement: undefined,
      gives: [
        { kind: "place", bot: "ticker", active: false },
        { kind: "report", bot: "ticker", faults: ["image: is missing"] },
      ],
    },
    { why: "leaves an active bot that turned invalid to its owner", reading: invalid, placement: placed(), gives: [] },
    { why: "leaves an active bot that was disabled to its owner", reading: aReading({ enabled: false }), placement: placed(), gives: [] },
    {
      why: "activates a bot that was enabled again",
      reading: aReading(),
      placement: placed({ active: false }),
      gives: [{ kind: "activate", bot: "ticker", why: "enabled" }],
    },
    { why: "leaves a bot that ended by itself", reading: aReading(), placement: placed({ active: false, done: hash() }), gives: [] },
    {
      why: "activates a bot that ended under another document",
      reading: aReading(),
      placement: placed({ active: false, done: hash("old") }),
      gives: [{ kind: "activate", bot: "ticker", why: "changed" }],
    },
    { why: "leaves a deleted bot to its owner while it is active", reading: undefined, placement: placed(), gives: [] },
    {
      why: "forgets a deleted bot once it is inactive",
      reading: undefined,
      placement: placed({ active: false }),
      gives: [{ kind: "forget", bot: "ticker" }],
    },
    { why: "has nothing to do for what is in step", reading: aReading(), placement: placed(), gives: [] },
  ]) {
    it(why, () => expect(planAdmission(bot(), reading, placement)).to.deep.equal(gives));
  }
});
