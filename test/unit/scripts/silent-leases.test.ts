import { expect } from "chai";

import { findSilentLeases } from "../../../scripts/faults/cluster/silent-leases.ts";

const NOW = Date.parse("2026-01-01T00:01:00.000000Z");
const lease = (name: string, second: number, sid?: string) => ({
  metadata: { name, resourceVersion: "1", ...(sid !== undefined && { annotations: { "botrunner.io/sid": sid } }) },
  spec: { renewTime: `2026-01-01T00:00:${String(second).padStart(2, "0")}.000000Z` },
});

describe("findSilentLeases()", () => {
  const left = (...items: ReturnType<typeof lease>[]) =>
    findSilentLeases({ items }, { election: "runtime", sessions: new Map([["s-a", "pod-a"]]), nowMs: NOW, maxAgeMs: 16_000 });

  for (const { why, items, says } of [
    { why: "nobody where all renew", items: [lease("runtime", 58), lease("w", 45, "s-a")], says: [] },
    {
      why: "a leader that does not renew",
      items: [lease("runtime", 43), lease("w", 59, "s-a")],
      says: ["the leader: has not renewed its Lease for 17 s"],
    },
    {
      why: "a worker that does not renew",
      items: [lease("runtime", 59), lease("w", 10, "s-a")],
      says: ["pod-a: has not renewed its Lease for 50 s"],
    },
    {
      why: "a worker that has none, whatever others have",
      items: [lease("runtime", 59), lease("w", 59, "s-b")],
      says: ["pod-a: has no Lease"],
    },
    { why: "a leader where there was none yet", items: [lease("w", 59, "s-a")], says: ["the leader: has no Lease"] },
  ])
    it(`tells of ${why}`, () => expect(left(...items)).to.deep.equal(says));
});
