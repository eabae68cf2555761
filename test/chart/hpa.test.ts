// The count that an HPA makes of the chart's ScaledObject, for every number of segments and of pods: read from what is rendered.
import { expect } from "chai";

import { desiredReplicas } from "../../src/core/scaling.ts";
import { helm3, render } from "../support/chart.ts";
import { type Hpa, HpaModel, type Rules } from "../support/hpa-model.ts";

const SYNC_SECONDS = 15;
const [MIN, MAX] = [3, 40];
const bounds = { min: MIN, max: MAX, standby: 0, cooldownMs: 0 };
const desired = (segments: number): number => desiredReplicas({ active: segments, lost: 0 }, bounds);
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

type Scaler = { readonly hpa: Hpa; readonly metric: (desired: number) => number };

/** What the chart asks for; of the query only what it makes of the leader's number. */
function scaler(hpaTolerance: boolean): Scaler {
  const values = { scaling: { mode: "keda", keda: { serverAddress: "http://prometheus", hpaTolerance } } };
  const { spec } = render(helm3, values).one("ScaledObject") as unknown as {
    spec: {
      minReplicaCount: number;
      maxReplicaCount: number;
      advanced: { horizontalPodAutoscalerConfig: { behavior: { scaleUp: Rules; scaleDown: Rules } } };
      triggers: [{ metricType: string; metadata: { threshold: string; query: string } }];
    };
  };
  const [{ metricType, metadata }] = spec.triggers;
  expect(metricType).to.equal("AverageValue");
  const { query, threshold } = metadata;
  const factor = /^(?:ceil\((\d+\.\d+) \* )?max\(/.exec(query);
  if (factor === null) throw new Error(`Cannot read the query "${query}"`);
  const hpa = { min: spec.minReplicaCount, max: spec.maxReplicaCount, threshold: Number(threshold) };
  return {
    hpa: { ...hpa, ...spec.advanced.horizontalPodAutoscalerConfig.behavior },
    metric: (number) => (factor[1] === undefined ? number : Math.ceil(Number(factor[1]) * number)),
  };
}

/** The counts that are written, look by look. `surge`: pods beyond the count while a rollout lasts, which is the first ten looks. */
function play({ hpa, metric }: Scaler, segments: number, from: number, surge: (spec: number) => number = () => 0): number[] {
  const model = new HpaModel(hpa);
  let spec = from;
  return range(1, 20).map((look) => {
    const status = spec + (look <= 10 ? surge(spec) : 0);
    spec = model.sync(look * SYNC_SECONDS, { spec, status, metric: metric(desired(segments)) });
    return spec;
  });
}

const states = range(0, 40).flatMap((segments) => range(1, MAX).map((from) => ({ segments, from })));
const settled = (counts: readonly number[]): boolean => new Set(counts.slice(-6)).size === 1;
const rollouts: readonly (readonly [why: string, surge: (spec: number) => number])[] = [
  ["at rest", () => 0],
  ["with one pod of a rollout", () => 1],
  ["with half of a rollout's pods", (spec) => Math.ceil(spec / 8)],
  ["with all of a rollout's pods", (spec) => Math.ceil(spec / 4)],
];

describe("an HPA of the chart's ScaledObject", () => {
  const exact = scaler(true);
  const tenthMore = scaler(false);

  for (const [why, surge] of rollouts) {
    it(`comes to exactly a pod for each segment and one, from any count, ${why}: tolerance 0`, () => {
      for (const { segments, from } of states) {
        const counts = play(exact, segments, from, surge);
        expect(counts.at(-1), `${segments} segments from ${from}`).to.equal(desired(segments));
        expect(settled(counts)).to.equal(true);
      }
    });

    it(`comes to no less, and to few more, from any count, ${why}: a tenth more`, () => {
      for (const { segments, from } of states) {
        const counts = play(tenthMore, segments, from, surge);
        const at = `${segments} segments from ${from}: ${counts.join(" ")}`;
        expect(counts.at(-1), at).to.be.at.least(desired(segments));
        expect(settled(counts), at).to.equal(true);
      }
    });
  }

  for (const [name, chosen] of [
    ["tolerance 0", exact],
    ["a tenth more", tenthMore],
  ] as const) {
    it(`has at its second look what is needed, however far that is: ${name}`, () => {
      // The first one may only bring a fleet of less than the minimum up to that.
      for (const { segments, from } of states)
        expect(play(chosen, segments, from)[from < MIN ? 1 : 0]).to.be.at.least(Math.min(desired(segments), MAX));
    });

    it(`never goes below what is needed on its way: ${name}`, () => {
      for (const { segments, from } of states.filter((state) => state.from >= desired(state.segments)))
        for (const [, surge] of rollouts)
          expect(Math.min(...play(chosen, segments, from, surge)), `${segments} from ${from}`).to.be.at.least(desired(segments));
    });

    it(`stays where it is without a number, within the bounds: ${name}`, () => {
      for (const from of range(1, MAX + 10)) {
        const to = new HpaModel(chosen.hpa).sync(SYNC_SECONDS, { spec: from, status: from, metric: undefined });
        expect(to).to.equal(Math.min(MAX, Math.max(MIN, from)));
      }
    });

    it(`shrinks in one step, once fewer were enough for the whole cooldown: ${name}`, () => {
      const counts = play(chosen, 2, MAX);
      expect(counts.slice(0, 2)).to.deep.equal([MAX, MAX]);
      expect(counts[2]).to.equal(counts.at(-1)).and.to.be.below(6);
    });
  }

  it("keeps few idle pods with a tenth more: 4 where it grew, 8 where it shrank or a rollout ended", () => {
    const idle = (from: number, segments: number, surge: (spec: number) => number) =>
      (play(tenthMore, segments, from, surge).at(-1) ?? 0) - desired(segments);
    const grown = states.filter(({ from, segments }) => from <= desired(segments));
    expect(Math.max(...grown.map(({ segments, from }) => idle(from, segments, () => 0)))).to.equal(4);
    expect(Math.max(...states.flatMap(({ segments, from }) => rollouts.map(([, surge]) => idle(from, segments, surge))))).to.equal(8);
  });

  it("would leave segments without a pod for ever with neither, which is what these tables are for", () => {
    const naive: Scaler = { hpa: tenthMore.hpa, metric: (number) => number };
    const stuck = states.filter(({ segments, from }) => (play(naive, segments, from).at(-1) ?? 0) < desired(segments));
    expect(stuck).to.have.lengthOf(60);
    expect(stuck).to.deep.include({ segments: 10, from: 10 });
  });

  it("would take a rollout's pods for its own with the usual tolerance", () => {
    const naive: Scaler = { hpa: tenthMore.hpa, metric: (number) => number };
    expect(play(naive, 19, 20, () => 1).at(-1)).to.be.above(20);
  });
});
