import { expect } from "chai";
import * as fc from "fast-check";
import { type AssignmentStep, type Observed, planAssignment } from "../../../src/core/assignment.ts";
import { isLiving } from "../../../src/core/session.ts";
import { aSegment, aWorker, segment, sid } from "../../support/builders.ts";
import { arbObserved, arbPolicy, PlannedFleet } from "../../support/planned-fleet.ts";
import { PATIENT } from "../../support/planning-cases.ts";

/** A round that outlasts every patience. */
const ROUND_MS = 30_000;
/** Free or create, assign, wait out every patience; and each segment that moves takes two rounds. */
const rounds = ({ active }: Observed): number => 5 + 2 * active.length;
const revokes = (steps: readonly AssignmentStep[]) => steps.filter((step) => step.kind === "revoke");

describe("core/assignment, for any fleet", () => {
  it("takes only steps that the state of things allows, one per segment", () => {
    fc.assert(
      fc.property(arbObserved, arbPolicy, (o, policy) => {
        const steps = planAssignment(o, policy);
        expect(new Set(steps.map((step) => step.segment)).size).to.equal(steps.length);
        const records = new Map(o.segments.map((s) => [s._id, s]));
        const states = new Map(o.workers.map((w) => [w._id, w.state]));
        const lives = (id: string | null): boolean => o.workers.some((w) => w._id === id && isLiving(w.state));
        for (const step of steps) {
          const record = records.get(step.segment);
          if (step.kind === "create") {
            expect([record, o.active.includes(step.segment)]).to.deep.equal([undefined, true]);
            continue;
          }
          expect(step.epoch).to.equal(record?.epoch);
          if (step.kind === "assign") {
            expect([record?.state, o.active.includes(step.segment), states.get(step.to)]).to.deep.equal(["free", true, "up"]);
            continue;
          }
          expect(step.owner).to.equal(record?.owner);
          expect(lives(step.owner)).to.equal(step.kind !== "free");
          if (step.kind !== "revoke") continue;
          expect([record?.state, step.why === "inactive"]).to.deep.equal(["assigned", !o.active.includes(step.segment)]);
          expect(step.target === null).to.equal(step.why === "inactive");
          if (step.target !== null) expect([states.get(step.target), step.target === step.owner]).to.deep.equal(["up", false]);
          if (step.why !== "inactive") expect(states.get(step.owner)).to.equal(step.why === "draining" ? "draining" : "up");
        }
      }),
    );
  });

  it("spares the leader, and waits for workers of their own, as long as there is patience", () => {
    fc.assert(
      fc.property(arbObserved, (o) => {
        const fleet = new PlannedFleet({ ...o, atCap: false }, { patienceMs: 1, lostPatienceMs: 1 });
        for (let round = 0; round < 3; round++) {
          const kept = new Map<string | null, number>();
          for (const { _id, owner, state, target } of fleet.segments.values()) {
            if (!o.active.includes(_id)) continue;
            const lives = [...fleet.workers.values()].some((w) => w._id === owner && isLiving(w.state));
            const by = state !== "revoking" ? owner : lives ? target : null;
            kept.set(by, (kept.get(by) ?? 0) + 1);
          }
          const steps = fleet.plan();
          for (const step of steps) {
            if (step.kind !== "assign" && (step.kind !== "revoke" || step.why !== "draining")) continue;
            const to = step.kind === "assign" ? step.to : step.target;
            expect(to).to.not.equal(o.leader);
            // A planned move may end on a busy worker: that was decided when it was planned.
            if ((fleet.segments.get(step.segment)?.target ?? null) === null) expect(kept.get(to) ?? 0).to.equal(0);
            kept.set(to, (kept.get(to) ?? 0) + 1);
          }
          fleet.apply(steps);
        }
      }),
    );
  });

  it("ends: after at most 5 + 2n rounds nothing is left to do, and each segment runs where it may", () => {
    fc.assert(
      fc.property(arbObserved, arbPolicy, (o, policy) => {
        const fleet = new PlannedFleet({ ...o, bots: new Map() }, policy);
        expect(fleet.settle(rounds(o), ROUND_MS)).to.be.below(rounds(o));
        const states = new Map<string | null, string>(o.workers.map((w) => [w._id, w.state]));
        const loads = fleet.loads();
        if (Object.keys(loads).length === 0) return;
        for (const id of o.active) expect(states.get(fleet.owner(id))).to.equal("up");
        const taking = Object.entries(loads).filter(([id]) => id !== o.leader);
        if (taking.length === 0 || o.generations !== undefined) return;
        // Even: nobody, not even a leader from before, has two more than another.
        expect(Math.max(...Object.values(loads)) - Math.min(...taking.map(([, load]) => load))).to.be.at.most(1);
        for (const [, load] of taking) expect(load).to.be.at.most(Math.ceil(o.active.length / taking.length));
      }),
      { numRuns: 300 },
    );
  });

  it("ends with full workers and in rollouts too, and leaves waiting only what nobody has room for", () => {
    fc.assert(
      fc.property(arbObserved, arbPolicy, (o, policy) => {
        const fleet = new PlannedFleet(o, policy);
        expect(fleet.settle(rounds(o), ROUND_MS)).to.be.below(rounds(o));
        if (o.active.every((id) => fleet.owner(id) !== null)) return;
        for (const { _id, state, capacity } of o.workers) {
          if (state !== "up") continue;
          const mine = [...fleet.segments.values()].filter((s) => s.owner === _id && o.active.includes(s._id));
          expect(mine.reduce((sum, s) => sum + (o.bots?.get(s._id) ?? 0), 0)).to.be.at.least(capacity);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("says the same again, and nothing more while owners still stop what was taken from them", () => {
    fc.assert(
      fc.property(arbObserved, arbPolicy, (o, policy) => {
        const fleet = new PlannedFleet(o, policy);
        expect(fleet.plan()).to.deep.equal(fleet.plan());
        for (let round = 0; round < 4; round++) {
          const stopping = new Set([...fleet.segments.values()].filter((s) => s.state === "revoking").map((s) => s._id));
          const steps = fleet.plan();
          for (const step of steps) if (step.kind !== "free") expect(stopping.has(step.segment)).to.equal(false);
          fleet.apply(steps);
        }
        expect(fleet.plan()).to.deep.equal([]);
      }),
    );
  });

  it("leaves nothing announced to somebody who will never take it", () => {
    fc.assert(
      fc.property(arbObserved, arbPolicy, fc.constantFrom("a", "b", "c", "stranger"), (o, policy, name) => {
        const segments = o.segments.map((s) => (s.state === "assigned" && s.owner !== name ? { ...s, target: sid(name) } : s));
        const fleet = new PlannedFleet({ ...o, segments }, policy);
        expect(fleet.settle(rounds(o), ROUND_MS)).to.be.below(rounds(o));
        const isUp = (id: string | null): boolean => o.workers.some((w) => w._id === id && w.state === "up");
        for (const { state, owner, target } of fleet.segments.values())
          if (state === "assigned" && isUp(owner) && target !== null) expect(isUp(target)).to.equal(true);
      }),
      { numRuns: 300 },
    );
  });

  it("moves one segment at a time from and to each worker when it spreads", () => {
    fc.assert(
      fc.property(arbObserved, arbPolicy, (o, policy) => {
        const steps = revokes(planAssignment(o, policy));
        const spread = steps.filter((step) => step.why === "spread");
        const living = new Set(o.workers.filter((w) => isLiving(w.state)).map((w) => w._id));
        const busy = o.segments
          .filter((s) => s.state === "revoking" && s.owner !== null && living.has(s.owner) && o.active.includes(s._id))
          .flatMap((s) => [s.owner, s.target]);
        const drains = steps.filter((step) => step.why === "draining").map((step) => step.target);
        const ends = spread.flatMap((step) => [step.owner, step.target]);
        expect(new Set(ends).size).to.equal(ends.length);
        for (const end of ends) expect([...drains, ...busy]).to.not.include(end);
      }),
    );
  });

  it("never moves back: in a fleet that does not change, no segment is moved twice for the load's sake", () => {
    fc.assert(
      fc.property(arbObserved, arbPolicy, (o, policy) => {
        const fleet = new PlannedFleet({ ...o, generations: new Map() }, policy);
        const moves: string[] = [];
        for (let round = 0; round < rounds(o); round++) {
          const steps = fleet.plan();
          for (const step of revokes(steps)) if (step.why === "spread") moves.push(`${step.segment} ${step.owner}`);
          fleet.apply(steps);
          fleet.release();
          fleet.pass(ROUND_MS);
        }
        expect(new Set(moves).size).to.equal(moves.length);
      }),
    );
  });

  it("ends though steps are missed, owners are slow, and workers come, drain and die meanwhile", () => {
    const names = ["a", "b", "c", "x", "y"];
    const arbEvent = fc.oneof(
      { weight: 3, arbitrary: fc.record({ kind: fc.constant("plan" as const), taken: fc.infiniteStream(fc.boolean()) }) },
      fc.record({ kind: fc.constant("release" as const), segment: fc.nat(14) }),
      fc.record({ kind: fc.constant("turn" as const), id: fc.constantFrom(...names), to: fc.constantFrom("draining", "gone", "dead") }),
      fc.record({ kind: fc.constant("come" as const), id: fc.constantFrom(...names), generation: fc.nat(2) }),
      fc.record({ kind: fc.constant("lead" as const), id: fc.constantFrom(...names) }),
      fc.record({ kind: fc.constant("want" as const), active: fc.uniqueArray(fc.nat(14)) }),
      fc.record({ kind: fc.constant("pass" as const), ms: fc.nat(20_000) }),
    );
    fc.assert(
      fc.property(arbObserved, fc.array(arbEvent, { maxLength: 30 }), (o, events) => {
        const fleet = new PlannedFleet({ ...o, bots: new Map() }, PATIENT);
        for (const event of events) {
          if (event.kind === "plan") fleet.apply(fleet.plan().filter(() => event.taken.next().value));
          else if (event.kind === "release") fleet.release((s) => s._id === event.segment && s.state === "revoking");
          else if (event.kind === "turn") fleet.turn(event.id, event.to);
          else if (event.kind === "come") fleet.add(event.id, {}, event.generation);
          else if (event.kind === "lead") fleet.set({ leader: sid(event.id) });
          else if (event.kind === "want") fleet.set({ active: event.active.map(segment) });
          else fleet.pass(event.ms);
        }
        const limit = rounds(fleet.observed);
        expect(fleet.settle(limit, ROUND_MS)).to.be.below(limit);
        if (Object.keys(fleet.loads()).length === 0) return;
        for (const id of fleet.observed.active) expect(fleet.owner(id)).to.not.equal(null);
      }),
      { numRuns: 300 },
    );
  });
});

describe("core/assignment, over a fleet's life", () => {
  const active = (n: number) => Array.from({ length: n }, (_, i) => segment(i));
  const arbSize = fc.record({ n: fc.integer({ min: 1, max: 30 }), w: fc.integer({ min: 1, max: 12 }) });

  it("starts each bot of a fresh install once: the leader waits for the workers that are coming", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.nat(30_000), (n, spanMs) => {
        const fleet = new PlannedFleet({ active: active(n), segments: [], workers: [aWorker("first")], leader: sid("first") }, PATIENT);
        for (let i = 0; i < n; i++) {
          fleet.settle(4);
          fleet.pass(Math.floor(spanMs / (n + 1)));
          fleet.add(`w${i}`);
        }
        fleet.settle(4);
        fleet.pass(ROUND_MS);
        expect([fleet.plan(), [...fleet.given.values()]]).to.deep.equal([[], Array.from({ length: n }, () => 1)]);
        expect(fleet.loads()["first"]).to.equal(0);
      }),
    );
  });

  it("gives no worker more than two when the whole fleet restarts and comes back one by one", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), (n) => {
        const old = aWorker("old", { state: "dead" });
        const segments = active(n).map((id) => aSegment(id, { state: "assigned", owner: sid("old") }));
        const fleet = new PlannedFleet({ active: active(n), segments, workers: [old, aWorker("lead")], leader: sid("lead") }, PATIENT);
        for (let i = 0; i < n; i++) {
          fleet.add(`w${i}`);
          fleet.settle(6);
          expect(Math.max(...Object.values(fleet.loads()))).to.be.at.most(2);
        }
        expect(Math.max(...Object.values(fleet.loads()))).to.equal(1);
      }),
    );
  });

  it("moves each bot once in a rolling update, also when workers share", () => {
    fc.assert(
      fc.property(arbSize, fc.integer({ min: 1, max: 4 }), ({ n, w }, surge) => {
        const old = ["lead", ...Array.from({ length: w }, (_, i) => `old${i}`)];
        const generations = new Map(old.map((id) => [sid(id), 1]));
        const workers = old.map((id) => aWorker(id));
        const fleet = new PlannedFleet(
          { active: active(n), segments: [], workers, leader: sid("lead"), atCap: n > w, generations },
          PATIENT,
        );
        fleet.settle(4);
        fleet.given.clear();
        // The leader's pod is the last to go; leadership goes to the last that comes.
        const going = old.toReversed();
        let fresh = 0;
        while (going.length > 0) {
          const batch = going.splice(0, surge);
          for (const _ of batch) fleet.add(`new${fresh++}`, {}, 2);
          if (batch.includes("lead")) fleet.set({ leader: sid(`new${fresh - 1}`) });
          fleet.settle(4);
          for (const id of batch) fleet.turn(id, "draining");
          fleet.settle(4);
          for (const id of batch) {
            expect([...fleet.segments.values()].some((s) => s.owner === id)).to.equal(false);
            fleet.turn(id, "gone");
          }
        }
        expect([...fleet.given.values()]).to.deep.equal(Array.from({ length: n }, () => 1));
      }),
    );
  });

  it("gives a dead worker's segments to the others at once, evenly, and spreads them when it is replaced", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 12 }), (n) => {
        const workers = ["lead", ...active(n).map((id) => `w${id}`)].map((id) => aWorker(id));
        const segments = active(n).map((id) => aSegment(id, { state: "assigned", owner: sid(`w${id}`) }));
        const fleet = new PlannedFleet({ active: active(n), segments, workers, leader: sid("lead") }, PATIENT);
        fleet.turn("w0", "dead");
        fleet.settle(4);
        expect(Math.max(...Object.values(fleet.loads()))).to.equal(2);
        expect([fleet.given.size, fleet.loads()["lead"]]).to.deep.equal([1, 0]);
        fleet.add("again");
        fleet.settle(4);
        expect(fleet.loads()).to.deep.equal({ lead: 0, again: 1, ...Object.fromEntries(active(n - 1).map((id) => [`w${id + 1}`, 1])) });
      }),
    );
  });

  it("does nothing when workers come or go that have nothing, or the leader changes", () => {
    fc.assert(
      fc.property(arbSize, ({ n, w }) => {
        const workers = active(n + 1).map((id) => aWorker(`w${id}`));
        const segments = active(n).map((id) => aSegment(id, { state: "assigned", owner: sid(`w${id + 1}`) }));
        const fleet = new PlannedFleet({ active: active(n), segments, workers, leader: sid("w0") }, PATIENT);
        for (let i = 0; i < w; i++) fleet.add(`idle${i}`, {}, i % 3);
        expect(fleet.plan()).to.deep.equal([]);
        fleet.set({ leader: sid("w1") });
        expect(fleet.plan()).to.deep.equal([]);
        for (let i = 0; i < w; i++) fleet.turn(`idle${i}`, "dead");
        fleet.turn("w0", "gone");
        expect(fleet.plan()).to.deep.equal([]);
      }),
    );
  });
});
