import { expect } from "chai";
import type { StatusRecord } from "../../../src/core/records.ts";
import { aDocument, fakeEngine, Fleet } from "../../support/fleet.ts";

describe("worker: an image whose pull takes for ever", () => {
  let fleet: Fleet;
  /** Waits for it that were begun, and that were given up. */
  let [asked, left] = [0, 0];
  const status = (id: string): StatusRecord | undefined => fleet.store.get<StatusRecord>("status", id);

  beforeEach(() => {
    fleet = new Fleet(fakeEngine);
    [asked, left] = [0, 0];
    const ensureImage = fleet.engine.ensureImage.bind(fleet.engine);
    fleet.engine.ensureImage = (image, policy, signal) => {
      if (image !== "stuck:1") return ensureImage(image, policy, signal);
      asked += 1;
      return new Promise((_, reject) => {
        const leave = (): void => {
          left += 1;
          reject(signal.reason as Error);
        };
        if (signal.aborted) leave();
        else signal.addEventListener("abort", leave, { once: true });
      });
    };
  });
  afterEach(() => fleet.end());

  it("is left as soon as the document names another", async () => {
    await fleet.start(aDocument("a", { image: "stuck:1" }));
    expect([status("a")?.state, asked, left]).to.deep.equal(["starting", 1, 0]);
    fleet.store.putBot(aDocument("a"));
    await fleet.clock.advance(1_000);
    expect([fleet.engine.running(), status("a")?.state, left]).to.deep.equal([["a"], "running", 1]);
    expect(fleet.told).to.not.include("bot:visit-failed a");
  });

  for (const { why, act, gives } of [
    { why: "disabled", act: () => fleet.store.putBot(aDocument("a", { enabled: false, image: "stuck:1" })), gives: "stopped" },
    { why: "deleted", act: () => fleet.store.deleteBot("a"), gives: undefined },
  ])
    it(`is left as soon as the bot is ${why}`, async () => {
      await fleet.start(aDocument("a", { image: "stuck:1" }));
      act();
      await fleet.clock.advance(2_000);
      expect([status("a")?.state, left]).to.deep.equal([gives, 1]);
    });

  it("does not hold up a drain", async () => {
    const { worker } = await fleet.start(aDocument("a", { image: "stuck:1" }));
    const draining = worker.drain(new AbortController().signal);
    let drained: boolean | undefined;
    void draining.then((done) => (drained = done));
    await fleet.clock.advance(5_000);
    expect(drained).to.equal(true);
  });

  it("is waited for while nothing of the bot has changed, however often everything is looked at", async () => {
    await fleet.start(aDocument("a", { image: "stuck:1" }));
    await fleet.clock.advance(600_000);
    expect([asked, left, status("a")?.state]).to.deep.equal([1, 0, "starting"]);
  });
});
