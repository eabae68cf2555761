import { expect } from "chai";

import type { SegmentRecord, WorkerRecord } from "../../../src/core/records.ts";
import type { Run } from "../../../scripts/faults/runs.ts";
import { type Books, botsByPod } from "../../../scripts/faults/stage.ts";
import { findUnsettled } from "../../../scripts/faults/unsettled.ts";

const worker = (_id: string, state = "up"): WorkerRecord =>
  ({ _id, inc: 1, hbSeq: 1, state, pod: `pod-${_id}`, node: "n" }) as WorkerRecord;
const segment = (_id: number, owner: string | null, state = "assigned"): SegmentRecord =>
  ({ _id, state, owner, epoch: 1, term: 1, target: null }) as SegmentRecord;
const life = (bot: string, last = 1_000): Run => ({
  bot,
  epoch: 1,
  run: bot,
  first: 0,
  last,
  count: 1,
  maxSeq: 0,
  maxGap: 0,
  ended: false,
});

const books = (more: Partial<Books> = {}): Books => ({
  workers: [worker("l"), worker("a"), worker("b")],
  segments: [segment(0, "a"), segment(1, "b")],
  statuses: [],
  leader: "l",
  ...more,
});

describe("findUnsettled()", () => {
  const all = { names: ["pod-l", "pod-a", "pod-b"], bots: ["x"], everyMs: 20 };
  const left = (more: Partial<Books> = {}, runs = [life("x")], expected = {}) =>
    findUnsettled(books(more), runs, 1_050, { ...all, ...expected }).join("; ");

  const cases: { why: string; left: string; says: RegExp }[] = [
    { why: "nothing of a settled fleet", left: left(), says: /^$/ },
    {
      why: "a worker without a session",
      left: left({ workers: [worker("l"), worker("a"), worker("b", "dead")] }),
      says: /pod-b: no living/,
    },
    { why: "a missing leader", left: left({ leader: null }), says: /^no living leader$/ },
    { why: "a leader that is no more", left: left({ leader: "gone" }), says: /^no living leader$/ },
    { why: "a segment of nobody", left: left({ segments: [segment(0, "a"), segment(1, null, "free")] }), says: /segment 1: free/ },
    { why: "a move under way", left: left({ segments: [segment(0, "a"), segment(1, "b", "revoking")] }), says: /segment 1: revoking/ },
    {
      why: "a move that is to come",
      left: left({ segments: [segment(0, "a"), segment(1, "a"), segment(2, "a"), segment(3, "b")] }),
      says: /^a segment is about to move/,
    },
    { why: "a bot that does not run", left: left({}, [life("x", 100)]), says: /^x: 0 lives send, expected 1$/ },
    { why: "a bot that runs twice", left: left({}, [life("x"), life("x")]), says: /^x: 2 lives/ },
    { why: "a disabled bot that runs", left: left({}, [life("x")], { disabled: new Set(["x"]) }), says: /^x: 1 lives send, expected 0$/ },
    {
      why: "no moves where these may go on",
      left: left({ segments: [segment(0, "a", "revoking")] }, [life("x")], { mayMove: true }),
      says: /^$/,
    },
  ];
  for (const { why, left: found, says } of cases) it(`tells ${why}`, () => expect(found).to.match(says));
});

describe("botsByPod()", () => {
  it("gives the bots of each worker's segments, and none to those that own nothing", () => {
    const placements = [
      { _id: "x", segment: 0 },
      { _id: "y", segment: 1 },
      { _id: "z", segment: 0 },
      { _id: "lost", segment: 7 },
    ];
    expect([...botsByPod(books(), placements, ["pod-l", "pod-a", "pod-b"])]).to.deep.equal([
      ["pod-l", []],
      ["pod-a", ["x", "z"]],
      ["pod-b", ["y"]],
    ]);
  });
});
