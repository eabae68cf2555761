import { EventEmitter } from "node:events";
import { expect } from "chai";
import { StoreUnreachableError } from "../../../src/core/errors.ts";
import type { BotId } from "../../../src/core/ids.ts";
import type { Admission } from "../../../src/leader/admission.ts";
import { Admitting } from "../../../src/leader/admitting.ts";
import type { LeaderEvents } from "../../../src/leader/events.ts";
import { FakeClock } from "../../support/fake-clock.ts";

describe("leader/admitting Admitting", () => {
  let clock: FakeClock;
  let end: AbortController;
  let running: Promise<void>;
  let admitting: Admitting;
  let news: string[];
  let failures: number;
  let unusableLooks: (() => Promise<void>)[];

  beforeEach(async () => {
    [clock, end, news, failures, unusableLooks] = [new FakeClock(), new AbortController(), [], 0, []];
    const look = async (): Promise<void> => {
      if (failures-- > 0) throw new StoreUnreachableError("away");
    };
    const admission = { merge: async () => {}, look, reportUnusable: () => unusableLooks.shift()?.() } as unknown as Admission;
    admitting = new Admitting({
      admission,
      clock,
      bus: new EventEmitter<LeaderEvents>(),
      checkIntervalMs: 15_000,
      onNews: (bots: readonly BotId[]) => news.push(bots.join()),
    });
    running = admitting.run(end.signal);
    admitting.onHint({ kind: "all" });
    await clock.advance(1);
  });
  afterEach(async () => {
    end.abort();
    await running;
    expect(clock.sleeping).to.equal(0);
  });

  it("says which bots it has looked at: whoever counts them need not wait to hear of its writes", async () => {
    admitting.onHint({ kind: "some", ids: ["a", "b"] });
    await clock.advance(1);
    expect(news).to.deep.equal(["", "a,b"]);
  });

  it("says so again when a look broke off and is made anew", async () => {
    failures = 1;
    admitting.onHint({ kind: "some", ids: ["a"] });
    await clock.advance(1);
    await clock.advance(15_000);
    expect(news.at(-1)).to.equal("a");
  });

  describe("a document whose id names no bot", () => {
    const hint = async (): Promise<void> => {
      admitting.onHint({ kind: "unusable" });
      await clock.advance(1);
    };

    it("is looked for again when another one comes while we look", async () => {
      const first = Promise.withResolvers<void>();
      unusableLooks = [() => first.promise, async () => {}];
      await hint();
      await hint();
      first.resolve();
      await clock.advance(1);
      expect(unusableLooks).to.have.length(0);
    });

    it("is looked for again when a look breaks off", async () => {
      unusableLooks = [() => Promise.reject(new StoreUnreachableError("away")), async () => {}];
      await hint();
      await clock.advance(15_000);
      expect(unusableLooks).to.have.length(0);
    });
  });
});
