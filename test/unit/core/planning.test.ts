import { expect } from "chai";
import * as fc from "fast-check";
import { planAdmission } from "../../../src/core/admission.ts";
import { type AssignmentStep, type Observed, planAssignment } from "../../../src/core/assignment.ts";
import { figuresOf, sharedSegments } from "../../../src/core/figures.ts";
import type { BotReading } from "../../../src/core/bot.ts";
import type { PlacementRecord, SegmentRecord } from "../../../src/core/records.ts";
import { aReading, aSegment, aWorker, bot, epoch, hash, segment, sid } from "../../support/builders.ts";

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

const mine = (id: number, over: Partial<SegmentRecord> = {}): SegmentRecord =>
  aSegment(id, { state: "assigned", owner: sid("a"), ...over });

describe("core/assignment planAssignment()", () => {
  for (const { why, observed, gives } of [
    {
      why: "creates the record of a new active segment",
      observed: { active: [segment(1)], segments: [], workers: [aWorker("a")] },
      gives: [{ kind: "create", segment: 1 }],
    },
    {
      why: "assigns a free active segment",
      observed: { active: [segment(1)], segments: [aSegment(1)], workers: [aWorker("a")] },
      gives: [{ kind: "assign", segment: 1, epoch: 100, to: "a" }],
    },
    {
      why: "gives segments to the least loaded",
      observed: { active: [1, 2, 3].map(segment), segments: [mine(1), aSegment(2), aSegment(3)], workers: [aWorker("a"), aWorker("b")] },
      gives: [
        { kind: "assign", segment: 2, epoch: 100, to: "b" },
        { kind: "assign", segment: 3, epoch: 100, to: "a" },
      ],
    },
    {
      why: "moves nothing that has a living owner",
      observed: { active: [segment(1), segment(2)], segments: [mine(1), mine(2)], workers: [aWorker("a"), aWorker("b")] },
      gives: [],
    },
    {
      why: "frees what a dead owner left",
      observed: { active: [segment(1)], segments: [mine(1)], workers: [aWorker("a", { state: "dead" })] },
      gives: [{ kind: "free", segment: 1, owner: "a", epoch: 100 }],
    },
    {
      why: "frees what an unknown owner left",
      observed: { active: [segment(1)], segments: [mine(1)], workers: [] },
      gives: [{ kind: "free", segment: 1, owner: "a", epoch: 100 }],
    },
    {
      why: "gives nothing to a draining worker",
      observed: { active: [segment(1)], segments: [aSegment(1)], workers: [aWorker("a", { state: "draining" })] },
      gives: [],
    },
    {
      why: "takes nothing from a draining owner",
      observed: { active: [segment(1)], segments: [mine(1)], workers: [aWorker("a", { state: "draining" })] },
      gives: [],
    },
    {
      why: "revokes a segment without active bots",
      observed: { active: [], segments: [mine(1)], workers: [aWorker("a")] },
      gives: [{ kind: "revoke", segment: 1, owner: "a", epoch: 100, why: "inactive" }],
    },
    { why: "leaves an idle free segment alone", observed: { active: [], segments: [aSegment(1)], workers: [aWorker("a")] }, gives: [] },
  ] satisfies { why: string; observed: Observed; gives: unknown }[]) {
    it(why, () => expect(planAssignment(observed)).to.deep.equal(gives));
  }
});

/** A store that takes every step, and a worker that releases what is revoked. */
function fold(observed: Observed, steps: readonly AssignmentStep[]): Observed {
  const segments = new Map(observed.segments.map((s) => [s._id, s]));
  for (const step of steps) {
    const record = segments.get(step.segment) ?? aSegment(step.segment);
    if (step.kind === "create") segments.set(step.segment, aSegment(step.segment));
    else if (step.kind === "assign")
      segments.set(step.segment, { ...record, state: "assigned", owner: step.to, epoch: epoch(record.epoch + 1) });
    else segments.set(step.segment, { ...record, state: "free", owner: null });
  }
  return { ...observed, segments: [...segments.values()] };
}

const arbObserved: fc.Arbitrary<Observed> = fc
  .record({
    active: fc.uniqueArray(fc.nat(12)),
    workers: fc.uniqueArray(
      fc.record({ id: fc.constantFrom("a", "b", "c", "d"), state: fc.constantFrom("up", "draining", "gone", "dead") }),
      { selector: (w) => w.id },
    ),
    segments: fc.uniqueArray(fc.record({ id: fc.nat(12), owner: fc.constantFrom("a", "b", "c", "d", null) }), { selector: (s) => s.id }),
  })
  .map((o) => ({
    active: o.active.map(segment),
    workers: o.workers.map((w) => aWorker(w.id, { state: w.state })),
    segments: o.segments.map((s) => aSegment(s.id, s.owner === null ? {} : { state: "assigned", owner: sid(s.owner) })),
  }));

describe("core/assignment properties", () => {
  it("converges within three plans", () => {
    fc.assert(
      fc.property(arbObserved, (o) => {
        const done = [1, 2, 3].reduce((world) => fold(world, planAssignment(world)), o);
        expect(planAssignment(done)).to.deep.equal([]);
      }),
    );
  });

  it("never takes a segment that should run from a living owner", () => {
    fc.assert(
      fc.property(arbObserved, (o) => {
        const living = new Set<string>(o.workers.filter((w) => w.state === "up" || w.state === "draining").map((w) => w._id));
        for (const step of planAssignment(o)) {
          const { owner } = o.segments.find((s) => s._id === step.segment) ?? { owner: null };
          if (owner !== null && living.has(owner)) expect(step.kind === "revoke" && !o.active.includes(step.segment)).to.equal(true);
        }
      }),
    );
  });

  it("spreads evenly: no worker is given two more than another could have had", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 8 }), (n, w) => {
        const active = Array.from({ length: n }, (_, i) => segment(i));
        const workers = Array.from({ length: w }, (_, i) => aWorker(`w${i}`));
        const steps = planAssignment({ active, workers, segments: active.map((s) => aSegment(s)) });
        const loads = Map.groupBy(steps, (s) => (s.kind === "assign" ? s.to : ""));
        return [...loads.values()].every((mineNow) => mineNow.length <= Math.ceil(n / w));
      }),
    );
  });

  it("figures keep orphaned <= total - assigned <= backlog", () => {
    fc.assert(
      fc.property(arbObserved, (o) => {
        const f = figuresOf(o);
        expect(f.orphaned_segments).to.be.at.most(f.total_segments - f.assigned_segments);
        expect(f.total_segments - f.assigned_segments).to.be.at.most(f.segment_backlog);
        expect(sharedSegments(o)).to.be.at.most(f.total_segments);
      }),
    );
  });
});

describe("core/figures figuresOf()", () => {
  it("counts one worker alone as available", () => {
    const observed = { active: [segment(1), segment(2)], segments: [mine(1), mine(2)], workers: [aWorker("a")] };
    expect(figuresOf(observed)).to.deep.equal({
      total_segments: 2,
      assigned_segments: 2,
      orphaned_segments: 0,
      available_workers: 1,
      segment_backlog: 1,
    });
    expect(sharedSegments(observed)).to.equal(2);
  });

  it("leaves the leader out as soon as there are others", () => {
    expect(figuresOf({ active: [], segments: [], workers: [aWorker("a"), aWorker("b")] }).available_workers).to.equal(1);
  });

  it("calls a segment orphaned when its owner is dead", () => {
    const observed = { active: [segment(1)], segments: [mine(1)], workers: [aWorker("a", { state: "dead" })] };
    expect(figuresOf(observed)).to.include({ orphaned_segments: 1, assigned_segments: 0, segment_backlog: 1, available_workers: 0 });
  });
});
