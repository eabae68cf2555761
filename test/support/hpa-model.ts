// What a HorizontalPodAutoscaler makes of one external metric with an AverageValue, as Kubernetes 1.36 computes it: read
// there, written anew. It knows nothing of this project.

type Policy = { readonly type: string; readonly value: number; readonly periodSeconds: number };
/** Quantities come as text. */
export type Rules = {
  readonly stabilizationWindowSeconds: number;
  readonly selectPolicy: string;
  readonly tolerance?: string;
  readonly policies: readonly Policy[];
};
export type Hpa = {
  readonly min: number;
  readonly max: number;
  readonly threshold: number;
  readonly scaleUp: Rules;
  readonly scaleDown: Rules;
};

/** What the cluster's controller tolerates where nobody says anything else. */
const TOLERANCE = 0.1;

type Recommendation = { readonly at: number; readonly replicas: number };
type Change = { readonly at: number; readonly by: number };

/** One HPA over time: `sync` at each look of the controller, in seconds. */
export class HpaModel {
  readonly #hpa: Hpa;
  #recommended: readonly Recommendation[] = [];
  #changes: readonly Change[] = [];

  constructor(hpa: Hpa) {
    this.#hpa = hpa;
  }

  /** The count that is written. `spec` and `status`: replicas as asked for and as there are, surge included; `metric` is
   *  undefined when there is no number. */
  sync(at: number, { spec, status, metric }: { spec: number; status: number; metric: number | undefined }): number {
    const { min, max } = this.#hpa;
    // Who has just begun takes what it finds for somebody's good reason.
    if (this.#recommended.length === 0) this.#recommended = [{ at, replicas: spec }];
    let to = spec;
    // Bounds hold without any metric.
    if (spec < min || spec > max) to = Math.min(max, Math.max(min, spec));
    else if (metric !== undefined) to = this.#limited(at, spec, this.#stabilized(at, spec, this.#proposed(status, metric)));
    if (to !== spec) this.#changes = [...this.#changes, { at, by: to - spec }];
    return to;
  }

  /** In thousandths, as quantities are. Within the tolerance it is what there *is*, and not what was asked for. */
  #proposed(status: number, metric: number): number {
    const { threshold, scaleUp, scaleDown } = this.#hpa;
    const usage = Math.ceil(Math.round(metric * 1e6) / 1_000);
    const target = threshold * 1_000;
    const ratio = usage / (target * status);
    const within = 1 - toleranceOf(scaleDown) <= ratio && ratio <= 1 + toleranceOf(scaleUp);
    return within ? status : Math.ceil(usage / target);
  }

  #stabilized(at: number, spec: number, proposed: number): number {
    const { scaleUp, scaleDown } = this.#hpa;
    const since = (seconds: number) => this.#recommended.filter((seen) => seen.at > at - seconds).map(({ replicas }) => replicas);
    const up = Math.min(proposed, ...since(scaleUp.stabilizationWindowSeconds));
    const down = Math.max(proposed, ...since(scaleDown.stabilizationWindowSeconds));
    this.#recommended = [...this.#recommended, { at, replicas: proposed }];
    return Math.min(down, Math.max(up, spec));
  }

  #limited(at: number, spec: number, wanted: number): number {
    const { min, max, scaleUp, scaleDown } = this.#hpa;
    if (wanted > spec) return Math.min(wanted, max, Math.max(spec, this.#limit(at, spec, scaleUp, 1)));
    if (wanted < spec) return Math.max(wanted, min, Math.min(spec, this.#limit(at, spec, scaleDown, -1)));
    return wanted;
  }

  #limit(at: number, spec: number, { policies, selectPolicy }: Rules, way: 1 | -1): number {
    if (selectPolicy === "Disabled") return spec;
    const limits = policies.map(({ type, value, periodSeconds }) => {
      const changed = this.#changes.filter((change) => change.at > at - periodSeconds).reduce((sum, { by }) => sum + by, 0);
      const before = spec - changed;
      if (type === "Pods") return before + way * value;
      return way === 1 ? Math.ceil(before * (1 + value / 100)) : Math.trunc(before * (1 - value / 100));
    });
    const isFurthest = selectPolicy !== "Min";
    return (way === 1) === isFurthest ? Math.max(...limits) : Math.min(...limits);
  }
}

const toleranceOf = ({ tolerance }: Rules): number => (tolerance === undefined ? TOLERANCE : Number(tolerance));
