import { EventEmitter } from "node:events";
import { expect } from "chai";
import type { WorkerRecord } from "../../../src/core/records.ts";
import type { WorkerEvents } from "../../../src/worker/events.ts";
import { Session, type SessionMark, type SessionOptions } from "../../../src/worker/session.ts";
import { sid } from "../../support/builders.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { ModelStore } from "../../support/model-store.ts";

const RENEW_MS = 1_000;

describe("worker/session", () => {
  let clock: FakeClock;
  let store: ModelStore;
  let kept: string[];
  let told: string[];
  const never = new AbortController().signal;
  const record = (over: Partial<WorkerRecord> = {}): WorkerRecord => ({
    _id: sid("engine-1"),
    inc: 4,
    hbSeq: 9,
    state: "up",
    proto: 1,
    capacity: 1,
    pod: "other",
    node: "",
    ...over,
  });
  /** When the session was open, by the clock, and what it was; or the refusal. */
  async function open(held?: SessionMark["held"]): Promise<string> {
    const last = { held, keep: async ({ sid: id, inc }: Session) => void kept.push(`${id} ${inc}`) };
    const own = {
      base: "engine-1",
      fleet: "engine-1",
      pod: "pod",
      node: "",
      capacity: 1,
      renewMs: RENEW_MS,
      bus: new EventEmitter<WorkerEvents>(),
    };
    const keepRunning: SessionOptions["keepRunning"] = ({ sid: id, inc, store: { provenAt } }) =>
      void told.push(`${id} ${inc} @${provenAt}`);
    const opening = Session.open({ store, clock, last, keepRunning, ...own }, never).then(
      (session) => `${session.sid} ${session.inc} @${clock.mono()}`,
      (error: Error) => error.message,
    );
    await clock.advance(10 * RENEW_MS);
    return opening;
  }

  beforeEach(() => {
    clock = new FakeClock();
    store = new ModelStore();
    kept = [];
    told = [];
  });

  it("opens a first session, and keeps which; there is nothing yet that the fence should keep running", async () => {
    expect(await open()).to.equal("engine-1 1 @0");
    expect([kept, told]).to.deep.equal([["engine-1 1"], []]);
  });

  for (const { why, held, gives } of [
    { why: "at once when our own state directory had it", held: { sid: sid("engine-1"), inc: 4 }, gives: "engine-1 5 @0" },
    { why: "after watching it when nothing tells whose it was", held: undefined, gives: "engine-1 5 @3000" },
    { why: "after watching it when another process had it since", held: { sid: sid("engine-1"), inc: 3 }, gives: "engine-1 5 @3000" },
    { why: "after watching it when ours was another", held: { sid: sid("engine-1/2"), inc: 4 }, gives: "engine-1 5 @3000" },
  ]) {
    it(`goes on with a session ${why}, and has its bots kept running by when that was sent`, async () => {
      store.put("workers", record());
      expect(await open(held)).to.equal(gives);
      expect([kept, told]).to.deep.equal([["engine-1 5"], [gives]]);
    });
  }

  it("refuses a session that still moves, and keeps nothing", async () => {
    store.put("workers", record());
    void clock.sleep(2 * RENEW_MS, never).then(() => store.put("workers", record({ hbSeq: 10 })));
    expect(await open({ sid: sid("engine-1"), inc: 3 })).to.include("Cannot start beside a living session");
    expect([kept, told]).to.deep.equal([[], []]);
  });
});
