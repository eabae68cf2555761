import { expect } from "chai";
import type { Observed } from "../../../src/core/assignment.ts";
import { idleWorkers, shouldHandOver } from "../../../src/core/hand-over.ts";
import { observeSessions, nextEndingAt, planEndings } from "../../../src/core/observation.ts";
import { afterCounter, afterRenewal, openSession } from "../../../src/core/session.ts";
import { MONGO_TIMINGS as T } from "../../../src/core/timings.ts";
import { aSegment, at, aWorker, segment, sid } from "../../support/builders.ts";

const owned = (owner: string, n = 1) => aSegment(n, { state: "assigned", owner: sid(owner) });
const fleet = (over: Partial<Observed> = {}): Observed => ({
  active: [segment(1)],
  segments: [owned("lead")],
  workers: [aWorker("lead"), aWorker("idle")],
  waiting: new Map(),
  leader: sid("lead"),
  ...over,
});
const both = [segment(1), segment(2)];
const between = [owned("lead"), aSegment(2, { state: "revoking", owner: sid("other"), target: null })];
const seasoned = new Set([sid("lead"), sid("idle")]);

describe("core/hand-over", () => {
  for (const { why, over, gives } of [
    { why: "who is up and owns nothing", over: {}, gives: ["idle"] },
    { why: "nobody that drains", over: { workers: [aWorker("idle", { state: "draining" })] }, gives: [] },
    { why: "nobody that is dead", over: { workers: [aWorker("idle", { state: "dead" })] }, gives: [] },
    { why: "nobody that a segment is about to come to", over: { segments: [aSegment(1, { target: sid("idle") })] }, gives: ["lead"] },
  ] satisfies { why: string; over: Partial<Observed>; gives: string[] }[])
    it(`calls idle ${why}`, () => expect(idleWorkers(fleet(over))).to.deep.equal(gives));

  for (const { why, over, who = seasoned, gives } of [
    { why: "busy, and an idle one can lead as well", over: {}, gives: true },
    { why: "not for one that has not watched the others for long enough", over: {}, who: new Set([sid("lead")]), gives: false },
    { why: "not when it is idle itself", over: { segments: [owned("other")] }, gives: false },
    { why: "not while a segment is between two owners, and waits for a leader", over: { active: both, segments: between }, gives: false },
    { why: "also while one is that no bot is in any more", over: { segments: between }, gives: true },
    { why: "not for a segment that no bot is in", over: { active: [] }, gives: false },
    { why: "not when nobody is idle", over: { segments: [owned("lead"), owned("idle", 2)] }, gives: false },
    { why: "not where all workers are alike", over: { leader: undefined }, gives: false },
  ] as { why: string; over: Partial<Observed>; who?: ReadonlySet<ReturnType<typeof sid>>; gives: boolean }[])
    it(`gives leadership away: ${why}`, () => expect(shouldHandOver(fleet(over), who)).to.equal(gives));
});

describe("core/session afterCounter()", () => {
  const open = openSession(sid("a"), 1, at(0));
  for (const { why, before, now, lost } of [
    { why: "the first answer", before: undefined, now: 7, lost: undefined },
    { why: "one that rises", before: 7, now: 8, lost: undefined },
    { why: "one that rises by two: a reply was lost", before: 7, now: 9, lost: undefined },
    { why: "one that stands still", before: 7, now: 7, lost: "ended" },
    { why: "one that goes back", before: 7, now: 2, lost: "ended" },
  ])
    it(`takes ${why} as ${lost ?? "ours"}`, () => expect(afterCounter(open, before, now).lost).to.equal(lost));

  it("leaves a lost session as it was lost", () => {
    const lost = { ...afterRenewal(open, at(1), "won"), lost: "replaced" } as const;
    expect(afterCounter(lost, 5, 1)).to.equal(lost);
  });
});

describe("core/observation nextEndingAt()", () => {
  const watch = (...seen: readonly [string, number, object?][]) =>
    seen.reduce(
      (before, [id, since, over]) => new Map([...before, ...observeSessions(new Map(), [aWorker(id, over)], "none", at(since))]),
      observeSessions(new Map(), [], "none", at(0)),
    );
  const L = T.endMs;
  for (const { why, watches, now, gives } of [
    { why: "nobody lives", watches: watch(), now: 0, gives: undefined },
    { why: "the first of several", watches: watch(["a", 300], ["b", 100], ["c", 200]), now: 500, gives: 100 + L },
    { why: "the next where one is due", watches: watch(["a", 100], ["b", 200]), now: 100 + L, gives: 200 + L },
    { why: "none where all are due", watches: watch(["a", 100]), now: 200 + L, gives: undefined },
    { why: "nobody dead", watches: watch(["a", 100, { state: "dead" }]), now: 200, gives: undefined },
    // (W + K) 1.05 / 0.95 with a W of its own
    { why: "one whose own fence is slower", watches: watch(["a", 0, { fenceMs: 36_500 }]), now: 0, gives: 42_000 },
  ])
    it(`looks for ${why}`, () => {
      const next = nextEndingAt(watches, T, at(now));
      if (gives === undefined) expect(next).to.equal(undefined);
      else expect(next).to.be.closeTo(gives, 0.001);
    });

  it("agrees with what is ended then, and a moment before", () => {
    const watches = watch(["a", 300], ["b", 100]);
    const next = Number(nextEndingAt(watches, T, at(300)));
    expect(planEndings(watches, at(next - 1), T)).to.deep.equal([]);
    expect(planEndings(watches, at(next), T).map(({ sid: id }) => id)).to.deep.equal(["b"]);
  });
});
