import type { MissingPods } from "../core/records.ts";
import type { ScalingDecision } from "../core/scaling.ts";
import type { AutoscalerOptions } from "./autoscaler.ts";
import type { DeploymentView } from "./cluster.ts";

/** Reasons that are told why pods wait. */
const MAX_REASONS = 5;

type Options = Pick<AutoscalerOptions, "cluster" | "bus">;

/** What people should hear of the scaling, once for each change: by the log and by Events on the Deployment. */
export class ScalingNews {
  readonly #options: Options;
  #refused = "";
  #missing = "";
  #held = "";

  constructor(options: Options) {
    this.#options = options;
  }

  /** Pods that are asked for and not there. */
  missing(): MissingPods {
    const { cluster } = this.#options;
    const byReason = Map.groupBy(
      cluster.pods().flatMap(({ pending }) => (pending === undefined ? [] : [pending])),
      (why) => why,
    );
    return {
      failure: cluster.deployment()?.failure ?? null,
      pending: [...byReason].slice(0, MAX_REASONS).map(([why, pods]) => ({ pods: pods.length, why })),
    };
  }

  /** `why` settings were refused; empty when they were not. */
  async tellRefused(why: string): Promise<void> {
    if (why === this.#refused) return;
    this.#refused = why;
    if (why !== "") await this.#say("Warning", "InvalidScaling", `${why}: the bounds from before hold`);
  }

  async tellMissing(): Promise<void> {
    const missing = this.missing();
    const { failure, pending } = missing;
    const now = JSON.stringify(missing);
    if (now === this.#missing) return;
    this.#missing = now;
    if (failure === null && pending.length === 0) return;
    this.#options.bus.emit("pods:missing", missing);
    if (failure !== null) await this.#say("Warning", "PodsRefused", `The cluster refuses new pods: ${failure}`);
    for (const { pods, why } of pending) await this.#say("Warning", "PodsPending", `${pods} pod(s) wait to be placed: ${why}`);
  }

  async tellHold(decision: ScalingDecision, { replicas, foreignScaler }: DeploymentView): Promise<void> {
    const why = decision.kind === "hold" ? decision.why : "";
    if (why === this.#held) return;
    this.#held = why;
    if (why === "" || why === "steady") return;
    this.#options.bus.emit("scaling:held", { why, replicas, foreign: foreignScaler });
    if (why === "foreign")
      await this.#say("Warning", "ForeignScaler", `Not scaling: "${foreignScaler}" owns spec.replicas. One writer only`);
  }

  /** Nobody scales here now: a hold that comes later is a new one. */
  forgetHold(): void {
    this.#held = "";
  }

  async tellScaled({ from, to, why }: Extract<ScalingDecision, { kind: "scale" }>): Promise<void> {
    await this.#say("Normal", "Scaled", `Scaling from ${from} to ${to} replicas: ${why}`);
  }

  /** Events are for people: without the right to write them everything else goes on. */
  async #say(type: "Normal" | "Warning", reason: string, note: string): Promise<void> {
    await this.#options.cluster
      .tell(type, reason, note)
      .catch((error: unknown) => this.#options.bus.emit("event:untold", { reason, error }));
  }
}
