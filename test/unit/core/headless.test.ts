import { expect } from "chai";
import * as fc from "fast-check";
import type { FoundLeadership, Sight } from "../../../src/core/election.ts";
import { type Headless, headlessLimitMs, mustGiveUp, observeHeadless, reachesStore } from "../../../src/core/headless.ts";
import type { Session } from "../../../src/core/session.ts";
import { KUBERNETES_TIMINGS as T } from "../../../src/core/timings.ts";
import { at, sid } from "../../support/builders.ts";

const NOW = 1_000_000;
const LIMIT_MS = headlessLimitMs(T);

/** MongoDB and the Lease were last renewed so many ms ago. */
const renewed = (storeMs: number, leaseMs: number, over: Partial<Session> = {}): Session => ({
  sid: sid("me"),
  inc: 1,
  store: { provenAt: at(NOW - storeMs) },
  lease: { provenAt: at(NOW - leaseMs) },
  ...over,
});
/** The leader's Lease was seen to change so many ms ago. */
const led = (agoMs: number, over: Partial<FoundLeadership> & { readonly holder?: string | null } = {}): Sight => {
  const { holder = "leader", ...found } = over;
  const record = { holder: holder === null ? null : sid(holder), leaseMs: 8_000, changes: 1 };
  return { found: { record, version: "1", reachesStore: true, ...found }, since: at(NOW - agoMs) };
};
const silent = renewed(60_000, 500);
/** As the look a second ago left it: vouched for since so long ago. */
const counted = (ms: number, lookedMs = 1_000): Headless => ({
  since: at(NOW - 60_000),
  vouchedSince: at(NOW - ms),
  leader: sid("leader"),
  lookedAt: at(NOW - lookedMs),
});

describe("core/headless", () => {
  describe("observeHeadless()", () => {
    for (const { why, session, gives } of [
      { why: "MongoDB confirms it", session: renewed(500, 500), gives: false },
      { why: "MongoDB has missed renewals for less than S", session: renewed(T.softMs - 1, 500), gives: false },
      { why: "MongoDB has missed them for S, and its Lease lives", session: renewed(T.softMs, 500), gives: true },
      { why: "its Lease is late, but not by R", session: renewed(60_000, T.stopMs - 1), gives: true },
      { why: "both are silent for R: its bots are stopped by then", session: renewed(60_000, T.stopMs), gives: false },
      { why: "its Lease carries the mark", session: renewed(60_000, 0, { lease: { isBarred: true } }), gives: false },
      { why: "its session is lost", session: renewed(60_000, 500, { lost: "ended" }), gives: false },
    ])
      it(`calls a worker ${gives ? "headless" : "not headless"} when ${why}`, () =>
        expect(observeHeadless(undefined, session, led(0), at(NOW), T) !== undefined).to.equal(gives));

    for (const { why, leader, before = counted(600_000), gives } of [
      { why: "goes on while a leader renews and reaches MongoDB", leader: led(1_000), gives: 600_000 },
      { why: "goes on under another leader", leader: led(0, { holder: "another" }), gives: 600_000 },
      { why: "goes on to the end of a leader's lease", leader: led(7_999), gives: 600_000 },
      { why: "breaks off when the leader has not renewed within its lease", leader: led(8_000), gives: undefined },
      { why: "breaks off when the leader does not reach MongoDB", leader: led(0, { reachesStore: false }), gives: undefined },
      { why: "breaks off when the leader says nothing of it, as an older version", leader: wordless(), gives: undefined },
      { why: "breaks off when nobody leads", leader: led(0, { holder: null }), gives: undefined },
      { why: "breaks off when there is no lease", leader: { found: undefined, since: at(NOW) }, gives: undefined },
      { why: "breaks off when the lease was never seen", leader: undefined, gives: undefined },
      { why: "does not take its own word", leader: led(0, { holder: "me" }), gives: undefined },
      { why: "begins with the first look", leader: led(0), before: null, gives: 0 },
      { why: "begins anew after a look without a leader", leader: led(0), before: unvouched(), gives: 0 },
      { why: "begins anew after a time without looks", leader: led(0), before: counted(600_000, 8_000), gives: 0 },
    ] as { why: string; leader: Sight | undefined; before?: Headless | null; gives: number | undefined }[])
      it(`the count ${why}`, () => {
        const seen = observeHeadless(before ?? undefined, silent, leader, at(NOW), T);
        expect(seen).to.include({ since: NOW - 60_000, lookedAt: NOW });
        expect(seen?.vouchedSince).to.equal(gives === undefined ? undefined : NOW - gives);
      });

    it("forgets the count as soon as MongoDB confirms the session once", () => {
      const between = observeHeadless(counted(600_000), renewed(500, 500), led(0), at(NOW), T);
      expect(observeHeadless(between, silent, led(0), at(NOW), T)?.vouchedSince).to.equal(NOW);
    });
  });

  for (const { why, ms, gives } of [
    { why: "before its time", ms: LIMIT_MS - 1, gives: false },
    { why: "at its time", ms: LIMIT_MS, gives: true },
  ])
    it(`mustGiveUp(): ${gives}, ${why}`, () => expect(mustGiveUp(counted(ms), at(NOW), LIMIT_MS)).to.equal(gives));

  it("mustGiveUp(): never for a worker whose last look showed no leader that reaches MongoDB", () =>
    expect(mustGiveUp(unvouched(), at(1e12), LIMIT_MS)).to.equal(false));

  it("gives a worker 15 min, and twice that where everything is twice as slow", () => {
    expect([headlessLimitMs({ renewMs: 1_000 }), headlessLimitMs({ renewMs: 2_000 })]).to.deep.equal([900_000, 1_800_000]);
  });

  it("gives up only if each look of the last 15 min has shown a leader that reaches MongoDB", () =>
    fc.assert(
      fc.property(fc.array(fc.constantFrom("reaches", "does not", "is gone"), { minLength: 1, maxLength: 40 }), (looks) => {
        let headless: Headless | undefined;
        const stepMs = 5_000;
        for (const [i, look] of looks.entries()) {
          const now = NOW + i * stepMs;
          const leader = { ...led(0, { reachesStore: look === "reaches", ...(look === "is gone" && { holder: null }) }), since: at(now) };
          const session = { ...silent, lease: { provenAt: at(now) } };
          headless = observeHeadless(headless, session, leader, at(now), T);
        }
        const limitMs = 4 * stepMs;
        const last = looks.slice(-5);
        const isDue = last.length === 5 && last.every((look) => look === "reaches");
        expect(headless !== undefined && mustGiveUp(headless, at(NOW + (looks.length - 1) * stepMs), limitMs)).to.equal(isDue);
      }),
    ));

  for (const { why, renewedMs, readMs, gives } of [
    { why: "both are fresh", renewedMs: 500, readMs: 500, gives: true },
    { why: "both are just within S", renewedMs: T.softMs - 1, readMs: T.softMs - 1, gives: true },
    { why: "it reads and cannot write, as with a MongoDB that is read-only", renewedMs: T.softMs, readMs: 0, gives: false },
    { why: "it renews and cannot read the books", renewedMs: 0, readMs: T.softMs, gives: false },
    { why: "it has not read them yet", renewedMs: 0, readMs: undefined, gives: false },
    { why: "it was never confirmed", renewedMs: undefined, readMs: 0, gives: false },
  ])
    it(`reachesStore(): ${gives} when ${why}`, () => {
      const [renewedAt, readAt] = [renewedMs, readMs].map((ms) => (ms === undefined ? undefined : at(NOW - ms)));
      expect(reachesStore(renewedAt, readAt, at(NOW), T)).to.equal(gives);
    });
});

function unvouched(): Headless {
  return { since: at(NOW - 60_000), lookedAt: at(NOW - 1_000) };
}

function wordless(): Sight {
  const { found, since } = led(0);
  return { found: found && { record: found.record, version: found.version }, since };
}
