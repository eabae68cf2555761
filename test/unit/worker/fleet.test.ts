import { expect } from "chai";
import { ConfigurationError } from "../../../src/core/errors.ts";
import { claimFleet, confirmClaim, type FleetClaim } from "../../../src/worker/fleet.ts";
import { aWorker } from "../../support/builders.ts";
import { ModelStore } from "../../support/model-store.ts";

const claimOf = (owner: string): FleetClaim => ({ owner, coordination: "single", incarnation: `life-of-${owner}` });

describe("worker/fleet: whose database this is", () => {
  let store: ModelStore;
  beforeEach(() => {
    store = new ModelStore();
  });
  const announce = (fleet: string): void => store.put("workers", aWorker(`worker-of-${fleet}`, { fleet }));
  const refusal = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: unknown) => error);

  it("gives an empty database to the first, who finds it his at the second look", async () => {
    expect(await claimFleet(store, claimOf("a"))).to.equal("claimed");
    announce("a");
    expect(await confirmClaim(store, claimOf("a"))).to.equal("life-of-a");
  });

  it("lets at most one of two fleets that come at the same moment go on", async () => {
    // Neither has announced a session when the other looks.
    expect(await claimFleet(store, claimOf("a"))).to.equal("claimed");
    expect(await claimFleet(store, claimOf("b"))).to.equal("adopted");
    announce("a");
    announce("b");
    const [a, b] = [await refusal(confirmClaim(store, claimOf("a"))), await refusal(confirmClaim(store, claimOf("b")))];
    expect(a).to.be.instanceOf(ConfigurationError);
    expect(b).to.be.instanceOf(ConfigurationError);
  });

  it("refuses at the second look who was overtaken, and lets the other go on", async () => {
    await claimFleet(store, claimOf("a"));
    await claimFleet(store, claimOf("b"));
    announce("b");
    expect(await refusal(confirmClaim(store, claimOf("a")))).to.be.instanceOf(ConfigurationError);
    expect(await confirmClaim(store, claimOf("b"))).to.equal("life-of-b");
  });

  it("counts sessions of older versions as of the fleet that holds the database", async () => {
    await claimFleet(store, claimOf("a"));
    store.put("workers", aWorker("old"));
    expect(await confirmClaim(store, claimOf("a"))).to.equal("life-of-a");
    expect(await refusal(claimFleet(store, claimOf("b")))).to.be.instanceOf(ConfigurationError);
  });
});
