import { expect } from "chai";
import * as fc from "fast-check";
import { planVictims } from "../../../src/core/victims.ts";
import { isLiving } from "../../../src/core/session.ts";
import { aSegment, aWorker, segment, sid } from "../../support/builders.ts";
import { arbObserved } from "../../support/planned-fleet.ts";

const mine = (id: number, owner: string) => aSegment(id, { state: "assigned", owner: sid(owner) });

describe("core/victims planVictims()", () => {
  const fleet = {
    active: [1, 2, 3, 4].map(segment),
    segments: [mine(1, "two"), mine(2, "two"), mine(3, "one"), aSegment(4, { target: sid("soon") }), aSegment(5, { target: sid("idle") })],
    workers: ["lead", "two", "one", "soon", "idle", "old", "drains", "dead"].map((id) =>
      aWorker(id, { state: id === "drains" ? "draining" : id === "dead" ? "dead" : "up" }),
    ),
    leader: sid("lead"),
    generations: new Map(["lead", "two", "one", "soon", "idle", "drains"].map((id) => [sid(id), 1])),
  };

  it("takes those that drain, then the idle, old ones first, then those with the fewest segments; the leader last", () => {
    expect(planVictims(fleet, 9).victims).to.deep.equal(["drains", "old", "idle", "one", "soon", "two", "lead"]);
    expect(planVictims(fleet, 2).victims).to.deep.equal(["drains", "old"]);
  });

  it("prices the leader highest, then the busy, an unknown pod at 0, the idle below, the victims lowest", () => {
    const { costs } = planVictims(fleet, 2);
    const cost = (id: string): number => costs.get(sid(id)) ?? 0;
    expect(cost("lead")).to.be.above(cost("two"));
    expect([cost("two"), cost("soon")]).to.deep.equal([cost("one"), cost("one")]);
    expect(cost("one")).to.be.above(cost("dead"));
    expect(cost("dead")).to.equal(0);
    expect(cost("idle")).to.be.below(0);
    expect(cost("old")).to.be.below(cost("idle"));
    expect(cost("drains")).to.equal(cost("old"));
  });

  it("takes nobody when nothing shrinks", () => {
    for (const count of [0, -1]) {
      const { victims, costs } = planVictims(fleet, count);
      expect([victims, costs.get(sid("old")), costs.get(sid("idle"))]).to.deep.equal([[], -1_000, -1_000]);
    }
  });

  it("takes living sessions only, the leader never before another, and a busy one never before an idle one", () => {
    fc.assert(
      fc.property(arbObserved, fc.nat(7), (o, count) => {
        const { victims, costs } = planVictims(o, count);
        const living = o.workers.filter((w) => isLiving(w.state)).map((w) => w._id);
        expect([...costs.keys()]).to.have.members(living);
        expect(victims).to.have.lengthOf(Math.min(count, living.length));
        const spared = living.filter((id) => !victims.includes(id));
        if (o.leader !== undefined && victims.includes(o.leader)) expect(spared).to.deep.equal([]);
        const busy = new Set(o.segments.map((s) => s.owner));
        const up = new Set(o.workers.filter((w) => w.state === "up").map((w) => w._id));
        const idleSpared = spared.filter((id) => !busy.has(id) && id !== o.leader && !o.segments.some((s) => s.target === id));
        if (idleSpared.length > 0) for (const id of victims) expect(up.has(id) && busy.has(id)).to.equal(false);
        for (const v of victims) for (const s of spared) expect(costs.get(v)).to.be.below(costs.get(s) ?? 0);
        for (const cost of costs.values()) expect(Math.abs(cost)).to.be.below(2 ** 31);
      }),
    );
  });
});
