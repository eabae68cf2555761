import { EventEmitter } from "node:events";
import { expect } from "chai";
import { ClusterRefusedError } from "../../../src/core/errors.ts";
import type { SessionId } from "../../../src/core/ids.ts";
import type { FoundLease } from "../../../src/core/lease.ts";
import { TOMBSTONE_MS } from "../../../src/core/stale-leases.ts";
import type { LeaderEvents } from "../../../src/leader/events.ts";
import { LeaseSweep } from "../../../src/leader/lease-sweep.ts";
import { aWorker, sid } from "../../support/builders.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { ModelStore } from "../../support/model-store.ts";

describe("leader/lease-sweep LeaseSweep", () => {
  const leaseOf = (name: string): [SessionId, FoundLease] => [
    sid(name),
    { lease: { sid: sid(name), inc: 1, incarnation: "life", revoked: false }, version: "1" },
  ];
  let clock: FakeClock;
  let end: AbortController;
  let running: Promise<void>;
  let leases: Map<SessionId, FoundLease>;
  let refusals: number;
  let faults: unknown[];

  beforeEach(() => {
    [clock, end, leases, refusals, faults] = [new FakeClock(), new AbortController(), new Map(), 0, []];
    const store = new ModelStore();
    store.put("workers", aWorker("gone", { state: "gone" }));
    store.put("workers", aWorker("up"));
    leases = new Map([leaseOf("gone"), leaseOf("up")]);
    const bus = new EventEmitter<LeaderEvents>();
    bus.on("round:failed", ({ error }) => faults.push(error));
    const cluster = {
      leases: () => leases,
      deleteLease: async (name: string) => {
        if (refusals-- > 0) throw new ClusterRefusedError("Cannot delete leases: no right", 403);
        leases.delete(sid(name));
      },
    };
    running = new LeaseSweep({ cluster, store, clock, bus }).run(end.signal);
  });
  afterEach(async () => {
    end.abort();
    await running;
    expect(clock.sleeping).to.equal(0);
  });

  it("removes what a worker has left behind, and nothing of a living one", async () => {
    await clock.advance(TOMBSTONE_MS - 1);
    expect([...leases.keys()]).to.deep.equal(["gone", "up"]);
    await clock.advance(60_000);
    expect([...leases.keys()]).to.deep.equal(["up"]);
  });

  it("tells of a right that is missing, and tries again", async () => {
    refusals = 1;
    await clock.advance(TOMBSTONE_MS + 60_000);
    expect(faults).to.have.length(1);
    expect([...leases.keys()]).to.deep.equal(["up"]);
  });
});
