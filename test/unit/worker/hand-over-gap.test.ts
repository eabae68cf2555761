import { expect } from "chai";
import { aDocument, fakeEngine, Fleet } from "../../support/fleet.ts";

describe("worker: the gap of a hand-over", () => {
  let fleet: Fleet;
  let gaps: (number | undefined)[];
  beforeEach(() => {
    fleet = new Fleet(fakeEngine);
    gaps = [];
    fleet.bus.on("bot:started", ({ gapMs }) => gaps.push(gapMs));
  });
  afterEach(() => fleet.end());

  /** What the last owner of the bot wrote, with so much of its time gone by. */
  const leave = (over: object, lastExit: { why: string; agoMs: number } | null): void => {
    const exit = lastExit && { code: 0, oom: "no", at: new Date(fleet.clock.wall().getTime() - lastExit.agoMs), why: lastExit.why };
    const fields = { state: "stopped", message: "", worker: "other", warnings: [], since: new Date(0), container: null, restarts: 0 };
    fleet.store.put("status", {
      _id: "a",
      epoch: 1,
      sid: "other",
      ...fields,
      attempt: 0,
      nextStart: null,
      spec: null,
      lastExit: exit,
      ...over,
    });
  };

  const cases: { why: string; over?: object; exit: { why: string; agoMs: number } | null; isGap: boolean }[] = [
    { why: "its owner drained", exit: { why: "draining", agoMs: 500 }, isGap: true },
    { why: "its owner was told to release it", exit: { why: "released", agoMs: 500 }, isGap: true },
    { why: "its owner had stopped it for want of a renewal", exit: { why: "fenced", agoMs: 500 }, isGap: true },
    { why: "its user had disabled it, however long ago", exit: { why: "disabled", agoMs: 1e9 }, isGap: false },
    { why: "its owner died, and nobody saw it end", over: { state: "running" }, exit: { why: "draining", agoMs: 1e9 }, isGap: false },
    { why: "it never ran", exit: null, isGap: false },
  ];
  for (const { why, over = {}, exit, isGap } of cases)
    it(`${isGap ? "is told" : "is not told"}: ${why}`, async () => {
      leave(over, exit);
      const before = fleet.clock.wall().getTime();
      await fleet.start(aDocument("a"));
      expect(gaps).to.have.lengthOf(1);
      const [gap] = gaps;
      if (!isGap) expect(gap).to.equal(undefined);
      else expect(gap).to.be.within(500, 500 + fleet.clock.wall().getTime() - before);
    });

  it("is never negative, whatever the other machine's clock says", async () => {
    leave({}, { why: "draining", agoMs: -1e9 });
    await fleet.start(aDocument("a"));
    expect(gaps).to.deep.equal([0]);
  });

  it("is told once: what follows is no hand-over", async () => {
    leave({}, { why: "draining", agoMs: 500 });
    await fleet.start(aDocument("a"));
    fleet.store.putBot(aDocument("a", { env: { CHANGED: "1" } }));
    await fleet.clock.advance(15_000);
    expect(gaps).to.have.lengthOf(2);
    expect(gaps[1]).to.equal(undefined);
  });
});
