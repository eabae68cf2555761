import { expect } from "chai";
import * as fc from "fast-check";
import { type Observed, planAssignment } from "../../../src/core/assignment.ts";
import { type Figures, figuresOf, oldestHandOverMs, sharedSegments } from "../../../src/core/figures.ts";
import type { SegmentRecord } from "../../../src/core/records.ts";
import { aSegment, aWorker, segment, sid } from "../../support/builders.ts";
import { arbObserved, arbPolicy, PlannedFleet } from "../../support/planned-fleet.ts";

const of = (owner: string, ...ids: number[]): SegmentRecord[] => ids.map((id) => aSegment(id, { state: "assigned", owner: sid(owner) }));
const active = (...ids: number[]) => ids.map(segment);
const lastOwner = (id: string) => ({ owner: null, since: 0 as never, waitedMs: 0, lastOwner: sid(id) }) as const;

describe("core/figures figuresOf()", () => {
  const cases: { why: string; observed: Observed; gives: Partial<Figures> }[] = [
    {
      why: "counts one worker alone as available",
      observed: { active: active(1, 2), segments: of("a", 1, 2), workers: [aWorker("a")], leader: sid("a") },
      gives: { total_segments: 2, assigned_segments: 2, orphaned_segments: 0, available_workers: 1, segment_backlog: 1 },
    },
    {
      why: "leaves the leader out as soon as there are others",
      observed: { active: [], segments: [], workers: [aWorker("a"), aWorker("b")], leader: sid("a") },
      gives: { available_workers: 1 },
    },
    {
      why: "takes one of the living for the leader when nobody says which",
      observed: { active: [], segments: [], workers: [aWorker("a"), aWorker("b")] },
      gives: { available_workers: 1 },
    },
    {
      why: "leaves nobody out for a leader without a living session",
      observed: { active: [], segments: [], workers: [aWorker("a"), aWorker("b"), aWorker("c", { state: "dead" })], leader: sid("c") },
      gives: { available_workers: 2 },
    },
    {
      why: "has no workers when all are dead",
      observed: { active: [], segments: [], workers: [aWorker("a", { state: "gone" })], leader: sid("a") },
      gives: { available_workers: 0 },
    },
    {
      why: "calls a segment orphaned when its owner is dead",
      observed: { active: active(1), segments: of("a", 1), workers: [aWorker("a", { state: "dead" })] },
      gives: { orphaned_segments: 1, assigned_segments: 0, segment_backlog: 1 },
    },
    {
      why: "calls it orphaned still when it was freed and waits",
      observed: { active: active(1), segments: [aSegment(1)], workers: [], waiting: new Map([[segment(1), lastOwner("a")]]) },
      gives: { orphaned_segments: 1, assigned_segments: 0, segment_backlog: 1 },
    },
    {
      why: "does not call it orphaned when a living owner released it",
      observed: { active: active(1), segments: [aSegment(1)], workers: [aWorker("a")], waiting: new Map([[segment(1), lastOwner("a")]]) },
      gives: { orphaned_segments: 0, assigned_segments: 0, segment_backlog: 1 },
    },
    {
      why: "counts what a draining worker still owns as assigned",
      observed: { active: active(1), segments: of("a", 1), workers: [aWorker("a", { state: "draining" })] },
      gives: { orphaned_segments: 0, assigned_segments: 1, segment_backlog: 0 },
    },
    {
      why: "leaves inactive segments out of everything",
      observed: { active: active(1), segments: [...of("a", 1), ...of("z", 2)], workers: [aWorker("a")] },
      gives: { total_segments: 1, assigned_segments: 1, orphaned_segments: 0, segment_backlog: 0 },
    },
    {
      why: "counts a segment without a record as backlog",
      observed: { active: active(1), segments: [], workers: [aWorker("a")] },
      gives: { total_segments: 1, assigned_segments: 0, orphaned_segments: 0, segment_backlog: 1 },
    },
  ];
  for (const { why, observed, gives } of cases) it(why, () => expect(figuresOf(observed)).to.include(gives));

  const inOrder = (o: Observed): void => {
    const f = figuresOf(o);
    for (const figure of Object.values(f)) expect(figure).to.be.at.least(0);
    expect(f.orphaned_segments).to.be.at.most(f.total_segments - f.assigned_segments);
    expect(f.total_segments - f.assigned_segments).to.be.at.most(f.segment_backlog);
    expect(f.segment_backlog).to.be.at.most(f.total_segments);
    expect(f.available_workers).to.be.at.most(o.workers.length);
    expect(sharedSegments(o)).to.be.at.most(f.total_segments);
  };

  it("keeps orphaned <= total - assigned <= backlog <= total, for any fleet and after each step of its plan", () => {
    fc.assert(
      fc.property(arbObserved, arbPolicy, (o, policy) => {
        inOrder(o);
        const fleet = new PlannedFleet(o, policy);
        for (let round = 0; round < 4; round++) {
          for (const step of planAssignment(fleet.observed, policy)) {
            fleet.apply([step]);
            inOrder(fleet.observed);
          }
          fleet.release();
          inOrder(fleet.observed);
        }
      }),
    );
  });

  it("counts an orphan from its owner's end until somebody else has it, through the freeing", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), (n) => {
        const ids = active(...Array.from({ length: n }, (_, i) => i));
        const fleet = new PlannedFleet(
          { active: ids, segments: of("a", ...ids), workers: [aWorker("a")] },
          { patienceMs: 0, lostPatienceMs: 0 },
        );
        const orphaned = (): number => figuresOf(fleet.observed).orphaned_segments;
        expect(orphaned()).to.equal(0);
        fleet.turn("a", "dead");
        expect(orphaned()).to.equal(n);
        fleet.apply(fleet.plan());
        expect([orphaned(), fleet.owner(0)]).to.deep.equal([n, null]);
        fleet.add("b");
        fleet.apply(fleet.plan());
        expect(orphaned()).to.equal(0);
      }),
    );
  });
});

describe("core/figures sharedSegments()", () => {
  it("counts the active segments of workers that have more than one", () => {
    const segments = [...of("a", 1, 2, 3), ...of("b", 4), ...of("c", 5, 6)];
    expect(sharedSegments({ active: active(1, 2, 4, 5), segments, workers: [] })).to.equal(2);
  });
});

describe("core/figures oldestHandOverMs()", () => {
  it("is the longest, and 0 without any", () => {
    expect(oldestHandOverMs({})).to.equal(0);
    const leaving = new Map([
      [segment(1), 20],
      [segment(2), 700],
      [segment(3), 3],
    ]);
    expect(oldestHandOverMs({ leaving })).to.equal(700);
  });
});
