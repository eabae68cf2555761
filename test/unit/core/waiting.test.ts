import { expect } from "chai";
import type { Observed } from "../../../src/core/assignment.ts";
import type { SegmentRecord, WorkerRecord } from "../../../src/core/records.ts";
import { type Leaving, patienceLeftMs, type Standing, trackLeaving, trackWaiting, type Waiting } from "../../../src/core/waiting.ts";
import { aSegment, at, aWorker, epoch, segment, sid } from "../../support/builders.ts";

const s1 = segment(1);
const seen = (record: SegmentRecord | undefined, ...workers: WorkerRecord[]): Observed => ({
  active: [s1],
  segments: record === undefined ? [] : [record],
  workers,
});
const owned = aSegment(1, { state: "assigned", owner: sid("a") });
const [up, dead] = [aWorker("a"), aWorker("a", { state: "dead" })];

/** Looks at the times given; how segment 1 stands after the last. */
function look(...looks: [number, Observed][]): Standing | undefined {
  let waiting: Waiting = new Map();
  for (const [ms, observed] of looks) waiting = trackWaiting(waiting, observed, at(ms));
  return waiting.get(s1);
}

describe("core/waiting trackWaiting()", () => {
  const cases: { why: string; looks: [number, Observed][]; gives: Standing | undefined }[] = [
    { why: "a segment with a living owner does not wait", looks: [[5, seen(owned, up)]], gives: { owner: sid("a") } },
    {
      why: "it does not wait while its owner drains, nor while it is taken from it",
      looks: [[5, seen({ ...owned, state: "revoking" }, aWorker("a", { state: "draining" }))]],
      gives: { owner: sid("a") },
    },
    {
      why: "a new segment waits from the first look on, through its creation",
      looks: [
        [5, seen(undefined, up)],
        [12, seen(aSegment(1), up)],
      ],
      gives: { owner: null, since: at(5), waitedMs: 7, lastOwner: null },
    },
    {
      why: "one with a dead owner waits from the first look on that sees the death, through its freeing",
      looks: [
        [5, seen(owned, up)],
        [10, seen(owned, dead)],
        [12, seen(aSegment(1), dead)],
        [15, seen(aSegment(1))],
      ],
      gives: { owner: null, since: at(10), waitedMs: 5, lastOwner: sid("a") },
    },
    {
      why: "the owner is remembered though the death and the freeing fell between two looks",
      looks: [
        [5, seen(owned, up)],
        [12, seen(aSegment(1), dead)],
      ],
      gives: { owner: null, since: at(12), waitedMs: 0, lastOwner: sid("a") },
    },
    {
      why: "a new owner ends the wait, and the next one begins anew",
      looks: [
        [5, seen(aSegment(1), up)],
        [12, seen(owned, up)],
        [20, seen(aSegment(1), up)],
      ],
      gives: { owner: null, since: at(20), waitedMs: 0, lastOwner: sid("a") },
    },
    {
      why: "an inactive segment is forgotten",
      looks: [
        [5, seen(owned, dead)],
        [6, { ...seen(aSegment(1)), active: [] }],
        [9, seen(aSegment(1))],
      ],
      gives: { owner: null, since: at(9), waitedMs: 0, lastOwner: null },
    },
    { why: "nothing is known of a segment that is not active", looks: [[5, { ...seen(owned, up), active: [] }]], gives: undefined },
  ];
  for (const { why, looks, gives } of cases) it(why, () => expect(look(...looks)).to.deep.equal(gives));
});

describe("core/waiting trackLeaving()", () => {
  const revoking = aSegment(1, { state: "revoking", owner: sid("a"), epoch: epoch(7) });
  const draining = aWorker("a", { state: "draining" });
  const kept = { ...revoking, state: "assigned" as const };
  const free = { ...revoking, state: "free" as const, owner: null };
  const cases: { why: string; looks: [number, SegmentRecord, WorkerRecord][]; gives: number | undefined }[] = [
    { why: "nobody has been asked to let go of it", looks: [[5, kept, up]], gives: undefined },
    {
      why: "from the first look at its revocation on",
      looks: [
        [5, revoking, up],
        [9, revoking, up],
      ],
      gives: 4,
    },
    {
      why: "its owner drains, and is revoked meanwhile",
      looks: [
        [5, kept, draining],
        [9, revoking, draining],
      ],
      gives: 4,
    },
    {
      why: "it was released",
      looks: [
        [5, revoking, up],
        [9, free, up],
      ],
      gives: undefined,
    },
    {
      why: "its owner is dead and holds nobody up",
      looks: [
        [5, revoking, up],
        [9, revoking, dead],
      ],
      gives: undefined,
    },
    {
      why: "the next one of the same segment counts anew",
      looks: [
        [5, revoking, up],
        [9, { ...revoking, epoch: epoch(8) }, up],
      ],
      gives: 0,
    },
  ];
  for (const { why, looks, gives } of cases)
    it(`${gives === undefined ? "does not count" : `counts ${gives} ms`}: ${why}`, () => {
      let leaving: Leaving = new Map();
      for (const [ms, record, worker] of looks) leaving = trackLeaving(leaving, { segments: [record], workers: [worker] }, at(ms));
      const since = leaving.get(s1)?.since;
      expect(since === undefined ? undefined : (looks.at(-1)?.[0] ?? 0) - since).to.equal(gives);
    });
});

describe("core/waiting patienceLeftMs()", () => {
  const waits = (...waited: number[]): Waiting =>
    new Map(waited.map((ms, i) => [segment(i), { owner: null, since: at(0), waitedMs: ms, lastOwner: null }]));
  for (const { why, waiting, patiences, gives } of [
    { why: "nobody waits", waiting: new Map([[s1, { owner: sid("a") }]]), patiences: [10], gives: undefined },
    { why: "all patience is over", waiting: waits(10, 99), patiences: [10, 0], gives: undefined },
    { why: "the next to end", waiting: waits(3, 10, 6), patiences: [10], gives: 4 },
    { why: "the next of either kind", waiting: waits(3, 6), patiences: [10, 8], gives: 2 },
  ])
    it(`is ${gives}: ${why}`, () => expect(patienceLeftMs(waiting, patiences)).to.equal(gives));
});
