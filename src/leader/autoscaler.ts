import type { Observed } from "../core/assignment.ts";
import type { Clock, MonoMs } from "../core/clock.ts";
import { podOf } from "../core/ids.ts";
import type { FleetView } from "../core/records.ts";
import { decideScaling, desiredReplicas, type ScalingDecision, type ScalingState } from "../core/scaling.ts";
import type { ScalingSettings } from "../core/scaling-settings.ts";
import { planVictims, surplusOf } from "../core/victims.ts";
import { Bell } from "../process/bell.ts";
import { tolerate } from "../process/retry.ts";
import type { Cluster, DeploymentView } from "./cluster.ts";
import type { LeaderBus } from "./events.ts";
import { MARK_MS, MarkedVictims } from "./marked-victims.ts";
import type { LeaderStore } from "./ports.ts";
import { pricePods } from "./price-pods.ts";
import { ScalingNews } from "./scaling-news.ts";
import { SecondWriter } from "./second-writer.ts";
import { WatchedSettings } from "./watched-settings.ts";

/** The leader's pod carries it, for `kubectl get pods -L`. */
const LEADER_LABEL = "botrunner.io/leader";
/** Before a larger count is written, in ms: bots that were inserted together are seen one after the other, and one write shall
 *  bring pods for all of them. */
const GATHER_MS = 120;
export type AutoscalerOptions = {
  readonly cluster: Cluster;
  readonly store: LeaderStore;
  readonly clock: Clock;
  readonly bus: LeaderBus;
  /** What the environment says. */
  readonly base: ScalingSettings;
  /** The pod that leads. */
  readonly pod: string;
};

/** Keeps the number of replicas at what the segments need, while this process leads: up at once, down after the cooldown
 *  and in order. Each decision is made afresh from what is seen; nothing is remembered but the cooldown's window. */
export class Autoscaler {
  readonly #options: AutoscalerOptions;
  readonly #bell = new Bell();
  readonly #settings: WatchedSettings;
  #observed: Observed | undefined;
  #mayShrink = false;
  #state: ScalingState = {};
  /** Since when more pods are wanted than there are asked for. */
  #growsSince: MonoMs | undefined;
  #last: FleetView["lastScaling"];
  #second: SecondWriter;
  #news: ScalingNews;
  #victims: MarkedVictims;

  constructor(options: AutoscalerOptions) {
    this.#options = options;
    this.#settings = new WatchedSettings(options);
    this.#second = new SecondWriter(options);
    this.#news = new ScalingNews(options);
    this.#victims = new MarkedVictims(options);
  }

  get settings(): ScalingSettings {
    return this.#settings.now;
  }

  /** What the planner should know of the cluster: which pods are of the newest template, and whether more may come. */
  facts(workers: Observed["workers"]): Pick<Observed, "generations" | "atCap"> {
    const rank = new Map(this.#options.cluster.pods().map((pod) => [pod.uid, pod.generation]));
    return {
      generations: new Map(workers.map(({ _id }) => [_id, rank.get(podOf(_id)) ?? 0])),
      atCap: workers.filter(({ state }) => state === "up").length >= this.settings.max,
    };
  }

  /** For `runtime.fleet`. */
  told(): Required<Pick<FleetView, "bounds" | "missing">> & Pick<FleetView, "lastScaling" | "countOwner"> {
    const { min, max } = this.settings;
    const countOwner = this.#second.known;
    return {
      bounds: { min, max },
      missing: this.#news.missing(),
      ...(this.#last !== undefined && { lastScaling: this.#last }),
      ...(countOwner !== undefined && { countOwner }),
    };
  }

  /** The leader has looked at the fleet. `mayShrink`: it sees all that runs. */
  onObserved(observed: Observed, { mayShrink = true }: { readonly mayShrink?: boolean } = {}): void {
    this.#observed = observed;
    this.#mayShrink = mayShrink;
    this.#bell.ring();
  }

  /** Something in the cluster has changed. Bounds are read in every process, so that each can say which ones hold. */
  onCluster(): void {
    this.#settings.read();
    this.#bell.ring();
  }

  /** Scales until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, bus } = this.#options;
    this.#observed = undefined;
    this.#last = undefined;
    this.#state = {};
    this.#growsSince = undefined;
    this.#second = new SecondWriter(this.#options);
    this.#news = new ScalingNews(this.#options);
    this.#victims = new MarkedVictims(this.#options);
    while (!signal.aborted) {
      let leftMs = Infinity;
      await tolerate(
        async () => {
          await this.#labelLeader();
          leftMs = await this.#round(signal);
        },
        (error) => bus.emit("round:failed", { loop: "autoscaler", error }),
      );
      await this.#bell.wait(clock, Math.min(leftMs, this.settings.checkIntervalMs), signal);
    }
  }

  /** One decision, and what follows from it. Returns after what time another look is due at the latest. */
  async #round(signal: AbortSignal): Promise<number> {
    const { cluster, clock, bus } = this.#options;
    if (!this.#settings.read()) return Infinity;
    await this.#news.tellRefused(this.#settings.refused);
    const seen = cluster.deployment();
    const observed = this.#observed;
    if (seen === undefined || observed === undefined) return Infinity;
    const deployment = { ...seen, foreignScaler: await this.#second.find(this.settings.mode, seen.foreignScaler) };
    const lost = this.#lost();
    const { mode, min, max } = this.settings;
    const desired = desiredReplicas({ active: observed.active.length, lost }, this.settings);
    // KEDA scales by what is told here: without a number it leaves the count as it is.
    if (mode !== "keda" || this.#mayShrink || desired >= deployment.replicas)
      bus.emit("scaling:observed", { desired, min, max, foreign: deployment.foreignScaler !== undefined });
    await this.#news.tellMissing();
    if (mode !== "native") {
      await this.#serveOther(observed, desired);
      return Infinity;
    }
    if (!this.#mayShrink && desired <= deployment.replicas) return Infinity;
    const { state, decision } = decideScaling(this.#state, this.#view(observed, deployment, lost), clock.mono());
    this.#state = state;
    await this.#news.tellHold(decision, deployment);
    if (decision.kind === "hold") {
      this.#growsSince = undefined;
      await this.#victims.replaceSpared(observed);
      return decision.leftMs ?? Infinity;
    }
    if (decision.to > decision.from) {
      const now = clock.mono();
      this.#growsSince ??= now;
      const leftMs = this.#growsSince + GATHER_MS - now;
      if (leftMs > 0) return leftMs;
    } else if (!(await this.#victims.mark(observed, decision.to, signal))) return MARK_MS;
    this.#growsSince = undefined;
    await this.#write(decision);
    return 0;
  }

  async #labelLeader(): Promise<void> {
    const { cluster, pod } = this.#options;
    for (const { name, labels } of cluster.pods()) {
      const isLabelled = labels[LEADER_LABEL] === "true";
      if (isLabelled === (name === pod)) continue;
      await cluster.patchPod(name, { labels: { [LEADER_LABEL]: name === pod ? "true" : null } });
    }
  }

  #view(observed: Observed, deployment: DeploymentView, lost: number): Parameters<typeof decideScaling>[1] {
    const wanted = new Set(observed.active);
    const owners = observed.segments.flatMap(({ _id, owner, target }) => (wanted.has(_id) ? [owner, target] : [owner]));
    const busy = new Set(owners.filter((sid) => sid !== null && sid !== observed.leader));
    return {
      bounds: this.settings,
      active: observed.active.length,
      lost,
      replicas: deployment.replicas,
      busy: busy.size,
      rollout: deployment.isRollingOut,
      foreign: deployment.foreignScaler !== undefined,
    };
  }

  /** Another one writes the count, at moments that nobody tells. So pods are priced whenever that changes, and none drains
   *  before it has to: whoever is taken hands its segments over when it is told to end. */
  async #serveOther(observed: Observed, desired: number): Promise<void> {
    this.#state = {};
    this.#growsSince = undefined;
    this.#news.forgetHold();
    const { costs } = planVictims(observed, surplusOf(observed, desired));
    await pricePods(this.#options.cluster, costs, { onlyChanged: true });
    await this.#victims.replaceSpared(observed);
  }

  async #write(decision: Extract<ScalingDecision, { kind: "scale" }>): Promise<void> {
    const { cluster, bus, clock } = this.#options;
    const { from, to, why } = decision;
    if ((await cluster.writeScale(from, to)) === "conflict") return;
    this.#last = { from, to, why, at: clock.wall() };
    bus.emit("scaled", this.#last);
    await this.#news.tellScaled(decision);
  }

  /** Pods that the Deployment counts and that serve nobody. */
  #lost(): number {
    return this.#options.cluster.pods().filter((pod) => pod.isLost && !pod.isTerminating).length;
  }
}
