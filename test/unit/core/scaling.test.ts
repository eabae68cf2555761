import { expect } from "chai";
import * as fc from "fast-check";
import {
  decideScaling,
  desiredReplicas,
  type ScalingBounds,
  type ScalingDecision,
  type ScalingObserved,
  type ScalingState,
} from "../../../src/core/scaling.ts";
import { at } from "../../support/builders.ts";

const bounds = (over: Partial<ScalingBounds> = {}): ScalingBounds => ({ min: 3, max: 40, standby: 0, cooldownMs: 30_000, ...over });
const seen = (over: Partial<ScalingObserved> = {}): ScalingObserved => ({
  bounds: bounds(),
  active: 0,
  lost: 0,
  replicas: 3,
  busy: 0,
  rollout: false,
  foreign: false,
  ...over,
});

describe("core/scaling desiredReplicas()", () => {
  for (const { why, active, lost, over, gives } of [
    { why: "the least allowed, for an empty fleet", active: 0, lost: 0, over: {}, gives: 3 },
    { why: "one worker per active segment, and the leader", active: 10, lost: 0, over: {}, gives: 11 },
    { why: "those that stand by", active: 10, lost: 0, over: { standby: 2 }, gives: 13 },
    { why: "one more for each lost pod that is still counted", active: 10, lost: 2, over: {}, gives: 13 },
    { why: "never more than allowed", active: 4_096, lost: 9, over: {}, gives: 40 },
    { why: "one for a fleet of one", active: 64, lost: 0, over: { min: 1, max: 1 }, gives: 1 },
    { why: "the most allowed when the bounds contradict each other", active: 0, lost: 0, over: { min: 9, max: 4 }, gives: 4 },
  ])
    it(`is ${gives}: ${why}`, () => expect(desiredReplicas({ active, lost }, bounds(over))).to.equal(gives));
});

/** Plays observations at their times, and gives the last decision. The window runs over `[ms, what is seen]`. */
function play(...looks: [number, Partial<ScalingObserved>][]): ScalingDecision | undefined {
  let state: ScalingState = {};
  let decision: ScalingDecision | undefined;
  for (const [ms, over] of looks) ({ state, decision } = decideScaling(state, seen(over), at(ms)));
  return decision;
}

describe("core/scaling decideScaling()", () => {
  const cases: { why: string; looks: [number, Partial<ScalingObserved>][]; gives: ScalingDecision }[] = [
    { why: "rests on the target", looks: [[0, {}]], gives: { kind: "hold", why: "steady" } },
    {
      why: "goes up at once, straight to the target",
      looks: [[0, { active: 10 }]],
      gives: { kind: "scale", from: 3, to: 11, why: "segments" },
    },
    {
      why: "goes up during a rollout too",
      looks: [[0, { active: 10, rollout: true }]],
      gives: { kind: "scale", from: 3, to: 11, why: "segments" },
    },
    {
      why: "goes up to a raised minimum",
      looks: [[0, { bounds: bounds({ min: 5 }) }]],
      gives: { kind: "scale", from: 3, to: 5, why: "minimum" },
    },
    {
      why: "does not go down before the cooldown",
      looks: [
        [0, { replicas: 11, active: 4 }],
        [29_999, { replicas: 11, active: 4 }],
      ],
      gives: { kind: "hold", why: "cooldown", leftMs: 1 },
    },
    {
      why: "goes down straight to the target after it",
      looks: [
        [0, { replicas: 11, active: 4 }],
        [30_000, { replicas: 11, active: 4 }],
      ],
      gives: { kind: "scale", from: 11, to: 5, why: "idle" },
    },
    {
      why: "goes down only to the most that was needed during the cooldown",
      looks: [
        [0, { replicas: 11, active: 4 }],
        [10_000, { replicas: 11, active: 7 }],
        [30_000, { replicas: 11, active: 4 }],
      ],
      gives: { kind: "scale", from: 11, to: 8, why: "idle" },
    },
    {
      why: "begins the cooldown anew when all were needed in between",
      looks: [
        [0, { replicas: 11, active: 4 }],
        [10_000, { replicas: 11, active: 10 }],
        [30_000, { replicas: 11, active: 4 }],
      ],
      gives: { kind: "hold", why: "cooldown", leftMs: 30_000 },
    },
    {
      why: "begins the cooldown anew after it went down",
      looks: [
        [0, { replicas: 11, active: 4 }],
        [30_000, { replicas: 11, active: 4 }],
        [31_000, { replicas: 8, active: 4 }],
      ],
      gives: { kind: "hold", why: "cooldown", leftMs: 30_000 },
    },
    {
      why: "says the same again when its write did not land",
      looks: [
        [0, { replicas: 11, active: 4 }],
        [30_000, { replicas: 11, active: 4 }],
        [31_000, { replicas: 11, active: 4 }],
      ],
      gives: { kind: "scale", from: 11, to: 5, why: "idle" },
    },
    {
      why: "does not go down during a rollout",
      looks: [
        [0, { replicas: 11, active: 4 }],
        [30_000, { replicas: 11, active: 4, rollout: true }],
      ],
      gives: { kind: "hold", why: "rollout" },
    },
    {
      why: "goes down once the rollout is over, for the cooldown ran on",
      looks: [
        [0, { replicas: 11, active: 4, rollout: true }],
        [30_000, { replicas: 11, active: 4 }],
      ],
      gives: { kind: "scale", from: 11, to: 5, why: "idle" },
    },
    {
      why: "goes no lower than what is assigned",
      looks: [
        [0, { replicas: 11, active: 4, busy: 7 }],
        [30_000, { replicas: 11, active: 4, busy: 7 }],
      ],
      gives: { kind: "scale", from: 11, to: 8, why: "idle" },
    },
    {
      why: "stays when all are busy still",
      looks: [
        [0, { replicas: 11, active: 4, busy: 10 }],
        [30_000, { replicas: 11, active: 4, busy: 10 }],
      ],
      gives: { kind: "hold", why: "assigned" },
    },
    {
      why: "goes down to a lowered maximum, though all are busy",
      looks: [
        [0, { replicas: 11, active: 10, busy: 10, bounds: bounds({ max: 6 }) }],
        [30_000, { replicas: 11, active: 10, busy: 10, bounds: bounds({ max: 6 }) }],
      ],
      gives: { kind: "scale", from: 11, to: 6, why: "maximum" },
    },
    { why: "leaves the count to a foreign scaler", looks: [[0, { active: 10, foreign: true }]], gives: { kind: "hold", why: "foreign" } },
    {
      why: "begins the cooldown anew when the foreign scaler has gone",
      looks: [
        [0, { replicas: 11 }],
        [20_000, { replicas: 11, foreign: true }],
        [30_000, { replicas: 11 }],
      ],
      gives: { kind: "hold", why: "cooldown", leftMs: 30_000 },
    },
  ];
  for (const { why, looks, gives } of cases) it(`${gives.kind}s: ${why}`, () => expect(play(...looks)).to.deep.equal(gives));

  const arbLook = fc.record({
    active: fc.nat(50),
    lost: fc.nat(3),
    busy: fc.nat(20),
    rollout: fc.boolean(),
    foreign: fc.constantFrom(false, false, false, true),
    lands: fc.boolean(),
    waitMs: fc.nat(20_000),
    bounds: fc.record({ min: fc.integer({ min: 1, max: 5 }), max: fc.integer({ min: 5, max: 40 }), standby: fc.nat(2) }).map(bounds),
  });

  it("never goes down but after a whole cooldown in which fewer would have done, and keeps its bounds", () => {
    fc.assert(
      fc.property(fc.array(arbLook, { maxLength: 40 }), fc.integer({ min: 1, max: 40 }), (looks, first) => {
        let [state, now, replicas]: [ScalingState, number, number] = [{}, 0, first];
        let calmSince: number | undefined;
        let needed = 0;
        for (const { lands, waitMs, ...over } of looks) {
          now += waitMs;
          const observed = seen({ ...over, replicas });
          const target = desiredReplicas(observed, observed.bounds);
          if (target >= replicas || over.foreign) [calmSince, needed] = [undefined, 0];
          else [calmSince, needed] = [calmSince ?? now, Math.max(needed, target)];
          const answer = decideScaling(state, observed, at(now));
          state = answer.state;
          const { decision } = answer;
          if (decision.kind === "hold") continue;
          expect([decision.from, over.foreign]).to.deep.equal([replicas, false]);
          expect(decision.to).to.be.within(Math.min(over.bounds.min, over.bounds.max), over.bounds.max);
          if (decision.to > replicas) expect(decision.to).to.equal(target);
          else {
            expect(over.rollout).to.equal(false);
            expect(now - (calmSince ?? now)).to.be.at.least(over.bounds.cooldownMs);
            expect(decision.to).to.be.at.least(Math.min(over.bounds.max, Math.max(needed, over.busy + 1)));
          }
          if (lands) [replicas, calmSince, needed] = [decision.to, undefined, 0];
        }
      }),
    );
  });

  it("comes to rest on the target when the world holds still", () => {
    fc.assert(
      fc.property(fc.nat(50), fc.integer({ min: 1, max: 60 }), (active, first) => {
        let [state, replicas]: [ScalingState, number] = [{}, first];
        let decision: ScalingDecision | undefined;
        for (let i = 0; i < 4; i++) {
          ({ state, decision } = decideScaling(state, seen({ active, replicas }), at(i * 30_000)));
          if (decision.kind === "scale") replicas = decision.to;
        }
        expect([decision, replicas]).to.deep.equal([{ kind: "hold", why: "steady" }, desiredReplicas({ active, lost: 0 }, bounds())]);
      }),
    );
  });
});
