import { EventEmitter } from "node:events";
import { expect } from "chai";
import type { LeaderEvents } from "../../../src/leader/events.ts";
import { Telling } from "../../../src/leader/telling.ts";
import { sid } from "../../support/builders.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { ModelStore } from "../../support/model-store.ts";

describe("leader/telling Telling", () => {
  it("hands on what an earlier leader knew, until the new one knows better", async () => {
    const store = new ModelStore();
    const bus = new EventEmitter<LeaderEvents>();
    const telling = () =>
      new Telling({ store, clock: new FakeClock(), bus, checkIntervalMs: 15_000, worker: "lead", sid: sid("lead"), hasReaders: true });
    const observed = { active: [], segments: [], workers: [], leader: sid("lead") };
    const scaling = { bounds: { min: 3, max: 40 }, missing: { failure: null, pending: [] } };
    const countOwner = { version: "1", inherited: "kube-controller-manager" };
    await telling().tell(observed, 1, { ...scaling, countOwner });
    await telling().tell(observed, 2, scaling);
    expect(store.published).to.deep.include({ term: 2, countOwner });
    await telling().tell(observed, 3, { ...scaling, countOwner: { version: "2", inherited: null } });
    expect(store.published).to.deep.include({ term: 3, countOwner: { version: "2", inherited: null } });
  });
});
