import { expect } from "chai";
import * as fc from "fast-check";
import { decideClaim } from "../../../src/core/claim.ts";
import { isLapsed } from "../../../src/core/fence.ts";
import { judgeLease, revokeLease, type WorkerLease } from "../../../src/core/lease.ts";
import { headlessSince, observeSessions, planEndings, suspects, type Watches } from "../../../src/core/observation.ts";
import { type FleetRecord, SCHEMA } from "../../../src/core/records.ts";
import { planRegistration } from "../../../src/core/registration.ts";
import { afterLeaseRenewal, afterRenewal, fenceDeadline, isLeaseDue, openSession, rightOf } from "../../../src/core/session.ts";
import { isSettled, observeLife } from "../../../src/core/settling.ts";
import { meetSegments } from "../../../src/core/tenure.ts";
import { judgeTerm } from "../../../src/core/term.ts";
import { brokenTimings, KUBERNETES_TIMINGS as T, MONGO_TIMINGS, withCall } from "../../../src/core/timings.ts";
import { aSegment, at, aWorker, epoch, segment, sid } from "../../support/builders.ts";

const open = openSession(sid("a"), 1, at(0));
const lease: WorkerLease = { sid: sid("a"), inc: 1, incarnation: "life", revoked: false };
const fleet: FleetRecord = { _id: "fleet", owner: "us", coordination: "kubernetes", schema: SCHEMA, incarnation: "life" };

describe("core/timings", () => {
  it("proves its own defaults, and what is twice as slow", () => {
    for (const t of [T, MONGO_TIMINGS]) {
      expect(brokenTimings(t)).to.deep.equal([]);
      const slow = Object.fromEntries(Object.entries(t).map(([name, ms]) => [name, 2 * ms]));
      expect(brokenTimings({ ...t, ...slow })).to.deep.equal([]);
    }
  });

  for (const { why, over, names } of [
    { why: "no start before two renewals could have been missed", over: { softMs: 1_800 }, names: ["softMs"] },
    { why: "the worker's own stop before its soft deadline", over: { stopMs: 3_000 }, names: ["stopMs"] },
    { why: "a fence before the worker's own stop", over: { fenceMs: 5_000 }, names: ["fenceMs"] },
    { why: "a leader that does not wait for the fence on a slow clock", over: { endMs: 9_300 }, names: ["endMs"] },
    { why: "all at once", over: { softMs: 1, stopMs: 1, fenceMs: 1, endMs: 1 }, names: ["softMs", "stopMs", "fenceMs", "endMs"] },
  ])
    it(`refuses ${why}`, () => expect(brokenTimings(withCall({ ...T, ...over })).map((r) => r.name)).to.deep.equal(names));
});

describe("core/session", () => {
  for (const { why, now, gives } of [
    { why: "a call that can end before S", now: 2_199, gives: "start" },
    { why: "a call that may outlast S", now: 2_200, gives: "keep" },
    { why: "before R", now: 4_999, gives: "keep" },
    { why: "from R on", now: 5_000, gives: "stop" },
  ])
    it(`gives the right to ${gives}: ${why}`, () => expect(rightOf(open, at(now), T)).to.equal(gives));

  it("counts from the sending, whenever the answer comes", () => {
    expect(fenceDeadline(afterRenewal(open, at(1_000), "won"), T)).to.equal(8_000);
  });

  it("concludes nothing from a call without an answer", () => {
    expect(afterRenewal(open, at(1_000), "unknown")).to.equal(open);
    expect(afterLeaseRenewal(open, at(1_000), "unknown")).to.equal(open);
  });

  it("is lost for good once a renewal misses", () => {
    const lost = afterRenewal(open, at(1_000), "missed");
    expect([rightOf(lost, at(1_000), T), fenceDeadline(lost, T)]).to.deep.equal(["stop", undefined]);
    expect(afterRenewal(lost, at(2_000), "won")).to.equal(lost);
  });

  it("lives by either store, and by a marked Lease only after MongoDB has confirmed it again", () => {
    const both = afterLeaseRenewal(open, at(4_000), "renewed");
    expect(fenceDeadline(both, T)).to.equal(11_000);
    const marked = afterLeaseRenewal(both, at(5_000), "barred");
    expect(fenceDeadline(afterLeaseRenewal(marked, at(6_000), "renewed"), T)).to.equal(7_000);
    expect(isLeaseDue(marked, at(60_000), T)).to.equal(false);
    const again = afterRenewal(marked, at(6_000), "won");
    expect(isLeaseDue(again, at(6_100), T)).to.equal(true);
  });

  it("begins no Lease for a session that MongoDB has not just confirmed", () => {
    expect([isLeaseDue(open, at(1_799), T), isLeaseDue(open, at(1_800), T)]).to.deep.equal([true, false]);
  });

  it("never loses a deadline to a late or doubled answer", () =>
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(20_000), fc.constantFrom("won", "unknown")), { maxLength: 20 }), (answers) => {
        let session = open;
        for (const [sentAt, outcome] of answers) {
          const before = fenceDeadline(session, T) ?? 0;
          session = afterRenewal(session, at(sentAt), outcome);
          expect(fenceDeadline(session, T)).to.be.at.least(before);
        }
      }),
    ));
});

describe("core/fence isLapsed()", () => {
  const file = { deadline: at(10_000), reading: at(3_000), bootId: "boot" };
  const view = { now: at(5_000), lastNow: at(4_800), bootId: "boot" };
  for (const { why, given, seen, gives } of [
    { why: "the deadline lies ahead", given: file, seen: view, gives: false },
    { why: "it has come", given: file, seen: { ...view, now: at(10_000) }, gives: true },
    { why: "there is no file", given: undefined, seen: view, gives: true },
    { why: "the file is of another boot", given: { ...file, bootId: "other" }, seen: view, gives: true },
    { why: "the clock went back", given: file, seen: { ...view, lastNow: at(5_001) }, gives: true },
    { why: "the worker read a time that is still to come", given: { ...file, reading: at(5_001) }, seen: view, gives: true },
  ])
    it(`says ${gives}: ${why}`, () => expect(isLapsed(given, seen)).to.equal(gives));
});

describe("core/observation", () => {
  const look = (before: Watches, hbSeq: number, version: string, now: number): Watches =>
    observeSessions(before, [aWorker("a", { hbSeq })], new Map([[sid("a"), { lease, version }]]), at(now));
  const ends = (watches: Watches, now: number) => planEndings(watches, at(now), T).map((e) => [e.lease?.expect, e.record.where]);

  it("ends who stood still in both stores for L, by the counters it saw", () => {
    const watches = look(look(new Map(), 4, "v1", 0), 4, "v1", 9_000);
    expect(ends(watches, 9_999)).to.deep.equal([]);
    expect(ends(watches, 10_000)).to.deep.equal([["v1", [{ hbSeq: { is: 4 } }]]]);
  });

  it("counts anew after a sign of life in either store", () => {
    for (const watches of [look(look(new Map(), 4, "v1", 0), 5, "v1", 9_000), look(look(new Map(), 4, "v1", 0), 4, "v2", 9_000)])
      expect([ends(watches, 18_999), ends(watches, 19_000).length]).to.deep.equal([[], 1]);
  });

  for (const { why, hbSeq, gives } of [
    { why: "nothing new is given to who lives by its Lease alone: it would not hear of it", hbSeq: 4, gives: ["a"] },
    { why: "new segments are given to who renews in MongoDB", hbSeq: 5, gives: [] },
  ])
    it(why, () => {
      let watches = look(new Map(), 4, "v0", 0);
      for (let now = 1_000; now <= T.softMs; now += 1_000) watches = look(watches, hbSeq, `v${now}`, now);
      expect([[...suspects(watches, at(T.softMs - 1), T)], [...suspects(watches, at(T.softMs), T)]]).to.deep.equal([[], gives]);
      expect([...headlessSince(watches, at(T.softMs), T)]).to.deep.equal(gives.map((id) => [id, 0]));
      expect(ends(watches, 10_000)).to.deep.equal([]);
    });

  it("calls nobody headless whose Lease stands still, too", () =>
    expect([...headlessSince(look(look(new Map(), 4, "v1", 0), 4, "v1", 5_000), at(5_000), T)]).to.deep.equal([]));

  it("ends nobody whose Lease it never read, and keeps what it knew while it cannot read", () => {
    const unread = observeSessions(new Map(), [aWorker("a")], "unread", at(0));
    expect(ends(unread, 60_000)).to.deep.equal([]);
    const kept = observeSessions(look(new Map(), 0, "v1", 0), [aWorker("a")], "unread", at(5_000));
    expect(ends(kept, 10_000)).to.have.lengthOf(1);
  });

  it("waits longer for a worker whose own fence is slower", () => {
    const slow = observeSessions(new Map(), [aWorker("a", { fenceMs: 14_000 })], "none", at(0));
    expect([ends(slow, 17_000), ends(slow, 17_200)]).to.deep.equal([[], [[undefined, [{ hbSeq: { is: 0 } }]]]]);
  });

  it("marks a Lease that is marked already, and makes a missing one", () => {
    expect(revokeLease(sid("a"), { lease: { ...lease, revoked: true }, version: "v7" })).to.deep.include({ expect: "v7" });
    expect(revokeLease(sid("a"), undefined).expect).to.equal(undefined);
  });
});

describe("core/lease judgeLease()", () => {
  for (const { why, found, gives } of [
    { why: "it is gone", found: undefined, gives: "barred" },
    { why: "it is marked", found: { ...lease, revoked: true }, gives: "barred" },
    { why: "a newer process has written it", found: { ...lease, inc: 2 }, gives: "replaced" },
    { why: "our own write, or an older process's", found: lease, gives: "mine" },
    { why: "numbers of another life of the database", found: { ...lease, inc: 9, incarnation: "old" }, gives: "mine" },
  ])
    it(`says ${gives}: ${why}`, () =>
      expect(judgeLease(found === undefined ? undefined : { lease: found, version: "v" }, lease)).to.equal(gives));
});

describe("core/settling", () => {
  const none = new Map();
  const foreign = new Map([[sid("b"), { lease: { ...lease, sid: sid("b"), incarnation: "old" }, version: "v" }]]);

  it("waits L in a life of the database that nobody has waited for yet", () => {
    const seen = observeLife(undefined, { incarnation: "life" }, none, at(1_000));
    expect([isSettled(seen, none, at(10_999), T.endMs), isSettled(seen, none, at(11_000), T.endMs)]).to.deep.equal([false, true]);
  });

  it("does not wait where an earlier leader has", () => {
    const seen = observeLife(undefined, { incarnation: "life", settled: true }, none, at(1_000));
    expect([isSettled(seen, none, at(1_000), T.endMs), isSettled(seen, "unread", at(99_000), T.endMs)]).to.deep.equal([true, false]);
  });

  it("waits L after the last Lease of another life was seen unmarked", () => {
    const seen = observeLife(observeLife(undefined, { incarnation: "life", settled: true }, none, at(0)), fleet, foreign, at(5_000));
    const later = observeLife(seen, fleet, none, at(6_000));
    expect([isSettled(later, none, at(14_999), T.endMs), isSettled(later, none, at(15_000), T.endMs)]).to.deep.equal([false, true]);
  });
});

describe("core/tenure meetSegments()", () => {
  const held = new Map([[segment(1), { epoch: epoch(7), state: "held" as const }]]);
  const own = { sid: sid("a"), released: () => undefined, isDraining: false };
  const mine = (over: object = {}) => aSegment(1, { state: "assigned", owner: sid("a"), epoch: epoch(7), ...over });
  for (const { why, records, options = own, gives } of [
    { why: "nothing new", records: [mine()], gives: ["held", [], [], []] },
    { why: "a first tenure", records: [mine(), { ...mine(), _id: segment(2) }], gives: ["held", [2], [], []] },
    { why: "a revoked one leaves", records: [mine({ state: "revoking" })], gives: ["leaving", [], [1], []] },
    { why: "all leave who drains", records: [mine()], options: { ...own, isDraining: true }, gives: ["leaving", [], [1], []] },
    {
      why: "one released here before leaves again",
      records: [mine()],
      options: { ...own, released: () => epoch(7) },
      gives: ["leaving", [], [1], []],
    },
    { why: "an older record tells nothing", records: [mine({ epoch: epoch(6), owner: sid("b") })], gives: ["held", [], [], []] },
    { why: "a missing record tells nothing", records: [], gives: ["held", [], [], []] },
    { why: "freed under our epoch is lost", records: [mine({ state: "free", owner: null })], gives: [undefined, [], [], [1]] },
    { why: "a later owner means lost", records: [mine({ epoch: epoch(8), owner: sid("b") })], gives: [undefined, [], [], [1]] },
    { why: "a later tenure of our own is another one", records: [mine({ epoch: epoch(8) })], gives: ["held", [1], [], [1]] },
  ])
    it(why, () => {
      const { tenures, gained, leaving, lost } = meetSegments(held, records, options);
      expect([tenures.get(segment(1))?.state, gained, leaving, lost]).to.deep.equal(gives);
    });

  it("keeps leaving what was seen leaving, whatever late answers say", () => {
    const leaving = meetSegments(held, [mine({ state: "revoking" })], own).tenures;
    expect(meetSegments(leaving, [mine()], own).tenures.get(segment(1))?.state).to.equal("leaving");
  });
});

describe("core/registration, claim and term", () => {
  it("goes on with the last life while it lives, and opens the next one after its end", () => {
    const lives = (state: "up" | "dead") => [aWorker("a"), aWorker("a/10", { state }), aWorker("a/2", { state: "gone" }), aWorker("ab")];
    expect(planRegistration("a", lives("up"))).to.deep.include({ kind: "continue" });
    expect(planRegistration("a", lives("dead"))).to.deep.equal({ kind: "open", sid: "a/11" });
    expect(planRegistration("new", lives("up"))).to.deep.equal({ kind: "open", sid: "new" });
  });

  const others = [aWorker("b", { fleet: "them" })];
  for (const { why, held, workers, oldFleetIsStopped, gives } of [
    { why: "an empty database is ours to take", held: undefined, workers: [], oldFleetIsStopped: false, gives: "insert" },
    { why: "our own", held: fleet, workers: [aWorker("a", { fleet: "us" })], oldFleetIsStopped: false, gives: "ours" },
    { why: "our own, and yet others live in it", held: fleet, workers: others, oldFleetIsStopped: false, gives: "refuse" },
    { why: "another's who lives", held: { ...fleet, owner: "them" }, workers: others, oldFleetIsStopped: false, gives: "refuse" },
    { why: "another's who has left", held: { ...fleet, owner: "them" }, workers: [], oldFleetIsStopped: false, gives: "adopt" },
    { why: "another's, and a person vouches", held: { ...fleet, owner: "them" }, workers: others, oldFleetIsStopped: true, gives: "adopt" },
    { why: "a newer version's", held: { ...fleet, schema: SCHEMA + 1 }, workers: [], oldFleetIsStopped: true, gives: "refuse" },
  ])
    it(`${gives}s: ${why}`, () => expect(decideClaim({ held, workers, mine: fleet, oldFleetIsStopped }).kind).to.equal(gives));

  it("tells a term that was lost from one that was outgrown", () => {
    expect(judgeTerm(3, 3, [aSegment(1, { term: 3 })])).to.equal("holds");
    expect(judgeTerm(3, 4, [])).to.equal("lost");
    expect(judgeTerm(3, 3, [aSegment(1, { term: 4 })])).to.equal("outgrown");
  });
});
