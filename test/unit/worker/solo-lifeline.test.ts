import { EventEmitter } from "node:events";
import { expect } from "chai";
import { SessionLostError } from "../../../src/core/errors.ts";
import { endSession, stepDown } from "../../../src/core/operations.ts";
import type { WorkerRecord } from "../../../src/core/records.ts";
import { openSession } from "../../../src/core/session.ts";
import type { WorkerEvents } from "../../../src/worker/events.ts";
import type { Session } from "../../../src/worker/session.ts";
import { SoloLifeline } from "../../../src/worker/solo-lifeline.ts";
import { at, aWorker, sid } from "../../support/builders.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { ModelStore } from "../../support/model-store.ts";

describe("worker/solo-lifeline SoloLifeline", () => {
  const opened = openSession(sid("a"), 1, at(0));
  let clock: FakeClock;
  let store: ModelStore;
  let lifeline: SoloLifeline;
  let end: AbortController;
  /** How the life-line's run ended; undefined while it goes on. */
  let ended: unknown;

  beforeEach(async () => {
    clock = new FakeClock();
    store = new ModelStore();
    store.put("workers", aWorker("a", { inc: 1, hbSeq: 0 }));
    const leave = async (to: "draining" | "gone") => void (await store.apply(stepDown(opened.sid, opened.inc, to)));
    const session = { sid: opened.sid, inc: opened.inc, view: opened, stepDown: leave };
    const options = { store, clock, bus: new EventEmitter<WorkerEvents>(), timings: { renewMs: 1_000 } };
    lifeline = new SoloLifeline(session as unknown as Session, options);
    end = new AbortController();
    ended = undefined;
    void lifeline
      .run(end.signal, () => true)
      .then(
        () => (ended = "in peace"),
        (error: unknown) => (ended = error),
      );
    await clock.advance(1_500);
  });
  afterEach(async () => {
    end.abort();
    await clock.advance(0);
    expect(clock.sleeping).to.equal(0);
  });

  const record = (): WorkerRecord => store.get<WorkerRecord>("workers", "a") as WorkerRecord;

  it("is lost when somebody else has ended the session", async () => {
    await store.apply(endSession(opened.sid, record().hbSeq));
    await clock.advance(1_000);
    expect(ended).to.be.instanceOf(SessionLostError).with.property("how", "ended");
    expect(lifeline.right()).to.equal("stop");
  });

  it("is not lost when a renewal finds that we ourselves have left", async () => {
    await lifeline.stepDown("draining");
    await lifeline.stepDown("gone");
    await clock.advance(3_000);
    expect([ended, record().state]).to.deep.equal([undefined, "gone"]);
    end.abort();
    await clock.advance(0);
    expect(ended).to.equal("in peace");
  });
});
