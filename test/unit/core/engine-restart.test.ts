import { expect } from "chai";
import { afterUnanswered, decideEngineRestart, type Need, type Silence, trackNeeds } from "../../../src/core/engine-restart.ts";
import { at, bot, epoch, segment } from "../../support/builders.ts";

const start: Need = { what: "start", segment: segment(3), epoch: epoch(7), bot: bot("a") };
const stop: Need = { what: "stop", segment: segment(5), epoch: epoch(9) };
const now = 1_000_000;
const silent = (ms: number): Silence => ({ since: at(now - ms), until: at(now), pings: 24 });

describe("core/engine-restart decideEngineRestart()", () => {
  for (const { why, silentMs = 120_000, waits = [10_000], restartedMs, gives } of [
    { why: "its pings have failed for 120 s, and a start waits", gives: true },
    { why: "its pings have failed for less", silentMs: 119_999, gives: false },
    { why: "it answers", silentMs: undefined, gives: false, waits: [200_000] },
    { why: "nothing waits for it, however long it is silent", silentMs: 3_600_000, waits: [], gives: false },
    { why: "what waits has only just come", waits: [9_999], gives: false },
    { why: "one of several waits for long enough", waits: [0, 60_000], gives: true },
    { why: "it was restarted less than 15 min ago", restartedMs: 899_999, gives: false },
    { why: "the last restart was 15 min ago", restartedMs: 900_000, gives: true },
  ] as { why: string; silentMs?: number; waits?: number[]; restartedMs?: number; gives: boolean }[])
    it(`${gives ? "restarts" : "does not restart"} it when ${why}`, () => {
      const isAnswering = why === "it answers";
      const view = {
        silence: isAnswering ? undefined : silent(silentMs),
        waiting: waits.map((ms) => ({ ...start, since: at(now - ms) })),
        restartedAt: restartedMs === undefined ? undefined : at(now - restartedMs),
      };
      expect(decideEngineRestart(view, at(now)) !== undefined).to.equal(gives);
    });

  it("names what has waited longest, and how much waits", () => {
    const waiting = [
      { ...start, since: at(now - 20_000) },
      { ...stop, since: at(now - 50_000) },
    ];
    expect(decideEngineRestart({ silence: silent(130_000), waiting, restartedAt: undefined }, at(now))).to.deep.equal({
      silentMs: 130_000,
      pings: 24,
      need: stop,
      waitedMs: 50_000,
      waiting: 2,
    });
  });
});

describe("core/engine-restart afterUnanswered()", () => {
  const before: Silence = { since: at(1_000), until: at(6_000), pings: 1 };
  for (const { why, sentAt, until, gives } of [
    { why: "goes on with the next ping", sentAt: 6_000, until: 11_000, gives: { since: 1_000, until: 11_000, pings: 2 } },
    {
      why: "begins anew after a pause in which nobody pinged",
      sentAt: 26_001,
      until: 31_000,
      gives: { since: 26_001, until: 31_000, pings: 1 },
    },
    { why: "is none when this process stood still during the ping", sentAt: 6_000, until: 66_000, gives: undefined },
  ])
    it(why, () => expect(afterUnanswered(before, at(sentAt), at(until))).to.deep.equal(gives));

  it("begins with the sending of the first ping", () =>
    expect(afterUnanswered(undefined, at(500), at(5_500))).to.deep.equal({ since: 500, until: 5_500, pings: 1 }));
});

describe("core/engine-restart trackNeeds()", () => {
  it("keeps since when a need stands, forgets what is met, and takes another tenure for another need", () => {
    const first = trackNeeds([], [start, stop], at(1_000));
    const later = trackNeeds(first, [start, { ...stop, epoch: epoch(10) }], at(6_000));
    expect(later.map(({ since }) => since)).to.deep.equal([1_000, 6_000]);
    expect(trackNeeds(later, [], at(7_000))).to.deep.equal([]);
  });
});
