import { expect } from "chai";

import { isTo, type LosableWrite, writeOf } from "../../../scripts/faults/store-link.ts";
import type { Epoch, SegmentId, SessionId } from "../../../src/core/ids.ts";
import {
  announceMove,
  assignSegment,
  endSession,
  freeSegment,
  type Operation,
  releaseSegment,
  renewSession,
  revokeSegment,
} from "../../../src/core/operations.ts";
import { filterOf, updateOf } from "../../../src/mongo/operations.ts";

const [segment, epoch, sid] = [3 as SegmentId, 9 as Epoch, "a" as SessionId];
const updating = (operation: Operation) => ({
  update: `runtime.${operation.collection}`,
  updates: [{ q: filterOf(operation), u: updateOf(operation) }],
});

describe("writeOf()", () => {
  const cases: { why: string; given: object; gives: LosableWrite | undefined }[] = [
    { why: "a renewal", given: { findAndModify: "runtime.workers", update: updateOf(renewSession(sid, 1)) }, gives: "O1" },
    { why: "an assignment", given: updating(assignSegment(segment, epoch, sid, 1)), gives: "O2" },
    { why: "a release", given: updating(releaseSegment(segment, epoch)), gives: "O5" },
    { why: "not the leader's freeing", given: updating(freeSegment(segment, epoch)), gives: undefined },
    { why: "not a revocation", given: updating(revokeSegment(segment, epoch, null, 1)), gives: undefined },
    { why: "not an announcement", given: updating(announceMove(segment, epoch, sid, 1)), gives: undefined },
    { why: "not the end of a session", given: updating(endSession(sid, 4)), gives: undefined },
    { why: "not a read", given: { find: "runtime.segments", filter: {} }, gives: undefined },
  ];
  for (const { why, given, gives } of cases) {
    it(`knows ${why}`, () => {
      expect(writeOf(given)).to.equal(gives);
    });
  }
});

describe("isTo()", () => {
  const renewal = { findAndModify: "runtime.workers", query: filterOf(renewSession(sid, 1)), update: updateOf(renewSession(sid, 1)) };
  const cases: { why: string; id: string | undefined; gives: boolean }[] = [
    { why: "a session's own renewal", id: sid, gives: true },
    { why: "not another's", id: "b", gives: false },
    { why: "any where none is asked for", id: undefined, gives: true },
  ];
  for (const { why, id, gives } of cases) it(`knows ${why}`, () => expect(isTo(renewal, id)).to.equal(gives));
});
