import { expect } from "chai";
import { ConfigurationError } from "../../../src/core/errors.ts";
import { renewSession } from "../../../src/core/operations.ts";
import { adoptFleet } from "../../../src/serve/adopt-fleet.ts";
import { aWorker, sid } from "../../support/builders.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { ModelStore } from "../../support/model-store.ts";

const held = (owner: string) => ({ _id: "fleet", owner, coordination: "mongo", schema: 1, incarnation: "old", settled: true }) as const;

/** Adopts for the fleet "ours"; each second `meanwhile` happens. */
async function adopt(store: ModelStore, meanwhile: () => unknown = () => {}): Promise<string | Error> {
  const clock = new FakeClock();
  const options = { store, clock, owner: "ours", coordination: "mongo", incarnation: "new", dbName: "db", renewMs: 1_000 };
  const over = adoptFleet(options).catch((error: Error) => error);
  for (let second = 0; second < 5; second++) {
    await clock.advance(1_000);
    await meanwhile();
  }
  return over;
}

describe("runtime fleet adopt", () => {
  let store: ModelStore;
  beforeEach(() => {
    store = new ModelStore();
  });

  it("takes another fleet's database over, ends its silent sessions and lets the next leader wait", async () => {
    store.put("control", held("theirs"));
    store.put("workers", aWorker("a", { fleet: "theirs" }));
    expect(await adopt(store)).to.equal(
      'Database "db" belongs to fleet "ours" from now on, no longer to "theirs". 1 silent session(s) were ended: pod-a',
    );
    expect(store.get("control", "fleet")).to.deep.equal({ ...held("ours"), incarnation: "new", settled: false });
    expect(store.get("workers", "a")).to.include({ state: "dead" });
  });

  it("gives our own database a new life, so that what a dump brought back counts for nothing", async () => {
    store.put("control", held("ours"));
    store.put("workers", aWorker("a", { fleet: "ours" }));
    expect(await adopt(store)).to.include('Database "db" stays with fleet "ours" and begins a new life');
    expect(store.get("control", "fleet")).to.include({ incarnation: "new", settled: false });
    expect(store.get("workers", "a")).to.include({ state: "dead" });
  });

  it("claims an empty database at once", async () => {
    expect(await adopt(store)).to.equal('Database "db" belongs to fleet "ours" from now on');
    expect(store.get("control", "fleet")).to.include({ owner: "ours", incarnation: "new" });
  });

  const renewing = [
    { why: "a session renews", put: () => store.put("workers", aWorker("a")), act: () => store.apply(renewSession(sid("a"), 1)) },
    { why: "one comes", put: () => store.put("workers", aWorker("b")), act: () => store.put("workers", aWorker("a")) },
  ];
  for (const { why, put, act } of renewing)
    it(`refuses and writes nothing while the fleet lives: ${why}`, async () => {
      store.put("control", held("theirs"));
      put();
      const refused = await adopt(store, act);
      expect(refused).to.be.instanceOf(ConfigurationError);
      expect(String(refused)).to.include("1 session(s) of it still renew (pod-a)");
      expect(store.get("control", "fleet")).to.deep.equal(held("theirs"));
    });
});
