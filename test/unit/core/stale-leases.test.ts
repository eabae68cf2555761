import { expect } from "chai";
import { type LeaseSights, sightLeases, staleLeases, TOMBSTONE_MS } from "../../../src/core/stale-leases.ts";
import type { FoundLease } from "../../../src/core/lease.ts";
import type { SessionId } from "../../../src/core/ids.ts";
import { aWorker, at, sid } from "../../support/builders.ts";

describe("core/stale-leases", () => {
  const leases = (version: string): ReadonlyMap<SessionId, FoundLease> =>
    new Map([[sid("a"), { lease: { sid: sid("a"), inc: 1, incarnation: "life", revoked: true }, version }]]);
  const seen: LeaseSights = sightLeases(new Map(), leases("1"), at(0));

  for (const { why, state, ms, gives } of [
    { why: "of a session that was ended", state: "dead", ms: TOMBSTONE_MS, gives: ["a"] },
    { why: "of a worker that has left", state: "gone", ms: TOMBSTONE_MS, gives: ["a"] },
    { why: "that the books do not know", state: undefined, ms: TOMBSTONE_MS, gives: ["a"] },
    { why: "that may still bar its worker", state: "dead", ms: TOMBSTONE_MS - 1, gives: [] },
    { why: "of a living session, however old", state: "up", ms: 10 * TOMBSTONE_MS, gives: [] },
    { why: "of a draining session", state: "draining", ms: 10 * TOMBSTONE_MS, gives: [] },
  ] as const)
    it(`${gives.length > 0 ? "removes" : "keeps"} a Lease ${why}`, () => {
      const workers = state === undefined ? [] : [aWorker("a", { state })];
      expect(staleLeases(seen, workers, at(ms))).to.deep.equal(gives);
    });

  it("counts from the last write that it saw", () => {
    const later = sightLeases(sightLeases(seen, leases("2"), at(5_000)), leases("2"), at(9_000));
    expect(staleLeases(later, [], at(5_000 + TOMBSTONE_MS - 1))).to.deep.equal([]);
    expect(staleLeases(later, [], at(5_000 + TOMBSTONE_MS))).to.deep.equal(["a"]);
  });

  it("forgets what is gone, and nothing while it cannot see", () => {
    expect(sightLeases(seen, "unread", at(1_000))).to.equal(seen);
    expect([...sightLeases(seen, new Map(), at(1_000))]).to.deep.equal([]);
  });
});
