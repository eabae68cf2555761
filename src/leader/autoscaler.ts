import type { Observed } from "../core/assignment.ts";
import type { Clock, MonoMs } from "../core/clock.ts";
import { podOf, type SessionId } from "../core/ids.ts";
import { askToDrain } from "../core/operations.ts";
import type { FleetView, MissingPods } from "../core/records.ts";
import { decideScaling, desiredReplicas, type ScalingDecision, type ScalingState } from "../core/scaling.ts";
import { readScalingSettings, type ScalingSettings } from "../core/scaling-settings.ts";
import { planVictims, surplusOf } from "../core/victims.ts";
import { Bell } from "../process/bell.ts";
import { tolerate } from "../process/retry.ts";
import type { Cluster, DeploymentView } from "./cluster.ts";
import type { LeaderBus } from "./events.ts";
import type { LeaderStore } from "./ports.ts";
import { pricePods } from "./price-pods.ts";
import { SecondWriter } from "./second-writer.ts";

/** The leader's pod carries it, for `kubectl get pods -L`. */
const LEADER_LABEL = "botrunner.io/leader";
/** Between the marks on the victims and the write of the smaller count, in ms: pods and their ReplicaSet are watched by
 *  separate streams. Source: design.md section 5. */
const MARK_MS = 2_000;
/** A victim that is still there so long after the write was spared by the ReplicaSet; it is replaced, for it takes no more work. */
const SPARED_MS = 30_000;
/** Before a larger count is written, in ms: bots that were inserted together are seen one after the other, and one write shall
 *  bring pods for all of them. */
const GATHER_MS = 120;
/** Reasons that are told why pods wait. */
const MAX_REASONS = 5;

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
  #settings: ScalingSettings;
  #observed: Observed | undefined;
  #mayShrink = false;
  #state: ScalingState = {};
  /** Since when more pods are wanted than there are asked for. */
  #growsSince: MonoMs | undefined;
  #hasRead = false;
  #refused = "";
  #toldRefused = "";
  #held = "";
  #toldMissing = "";
  #last: FleetView["lastScaling"];
  #second: SecondWriter;
  /** Victims by session, and when they were marked. */
  readonly #marked = new Map<SessionId, number>();

  constructor(options: AutoscalerOptions) {
    this.#options = options;
    this.#settings = options.base;
    this.#second = new SecondWriter(options);
  }

  get settings(): ScalingSettings {
    return this.#settings;
  }

  /** What the planner should know of the cluster: which pods are of the newest template, and whether more may come. */
  facts(workers: Observed["workers"]): Pick<Observed, "generations" | "atCap"> {
    const rank = new Map(this.#options.cluster.pods().map((pod) => [pod.uid, pod.generation]));
    return {
      generations: new Map(workers.map(({ _id }) => [_id, rank.get(podOf(_id)) ?? 0])),
      atCap: workers.filter(({ state }) => state === "up").length >= this.#settings.max,
    };
  }

  /** For `runtime.fleet`. */
  told(): Required<Pick<FleetView, "bounds" | "missing">> & Pick<FleetView, "lastScaling" | "countOwner"> {
    const { min, max } = this.#settings;
    const countOwner = this.#second.known;
    return {
      bounds: { min, max },
      missing: this.#missing(),
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
    this.#readSettings();
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
    this.#marked.clear();
    this.#toldMissing = this.#toldRefused = "";
    while (!signal.aborted) {
      let leftMs = Infinity;
      await tolerate(
        async () => {
          await this.#labelLeader();
          leftMs = await this.#round(signal);
        },
        (error) => bus.emit("round:failed", { loop: "autoscaler", error }),
      );
      await this.#bell.wait(clock, Math.min(leftMs, this.#settings.checkIntervalMs), signal);
    }
  }

  /** One decision, and what follows from it. Returns after what time another look is due at the latest. */
  async #round(signal: AbortSignal): Promise<number> {
    const { cluster, clock, bus } = this.#options;
    if (!this.#readSettings()) return Infinity;
    await this.#tellRefused();
    const seen = cluster.deployment();
    const observed = this.#observed;
    if (seen === undefined || observed === undefined) return Infinity;
    const deployment = { ...seen, foreignScaler: await this.#second.find(this.#settings.mode, seen.foreignScaler) };
    const lost = this.#lost();
    const { mode, min, max } = this.#settings;
    const desired = desiredReplicas({ active: observed.active.length, lost }, this.#settings);
    // KEDA scales by what is told here: without a number it leaves the count as it is.
    if (mode !== "keda" || this.#mayShrink || desired >= deployment.replicas)
      bus.emit("scaling:observed", { desired, min, max, foreign: deployment.foreignScaler !== undefined });
    await this.#tellMissing();
    if (mode !== "native") {
      await this.#serveOther(observed, desired);
      return Infinity;
    }
    if (!this.#mayShrink && desired <= deployment.replicas) return Infinity;
    const { state, decision } = decideScaling(this.#state, this.#view(observed, deployment, lost), clock.mono());
    this.#state = state;
    await this.#tellHold(decision, deployment);
    if (decision.kind === "hold") {
      this.#growsSince = undefined;
      await this.#replaceSpared(observed);
      return decision.leftMs ?? Infinity;
    }
    if (decision.to > decision.from) {
      const now = clock.mono();
      this.#growsSince ??= now;
      const leftMs = this.#growsSince + GATHER_MS - now;
      if (leftMs > 0) return leftMs;
    } else if (!(await this.#markVictims(observed, decision, signal))) return MARK_MS;
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
      bounds: this.#settings,
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
    this.#held = "";
    const { costs } = planVictims(observed, surplusOf(observed, desired));
    await pricePods(this.#options.cluster, costs, { onlyChanged: true });
    await this.#replaceSpared(observed);
  }

  /** Victims drain and are priced lowest; returns whether the smaller count may be written by now. */
  async #markVictims(observed: Observed, { to }: Extract<ScalingDecision, { kind: "scale" }>, signal: AbortSignal): Promise<boolean> {
    const { cluster, store, clock } = this.#options;
    const { victims, costs } = planVictims(observed, surplusOf(observed, to));
    await pricePods(cluster, costs);
    const fresh = victims.filter((sid) => !this.#marked.has(sid));
    for (const sid of fresh) {
      await store.apply(askToDrain(sid));
      this.#marked.set(sid, clock.mono());
    }
    if (fresh.length > 0) {
      await clock.sleep(MARK_MS, signal).catch(() => {});
      return false; // what has changed meanwhile is for the next look
    }
    const owners = new Set(observed.segments.map((s) => s.owner));
    return victims.every((sid) => !owners.has(sid));
  }

  async #write({ from, to, why }: Extract<ScalingDecision, { kind: "scale" }>): Promise<void> {
    const { cluster, bus, clock } = this.#options;
    if ((await cluster.writeScale(from, to)) === "conflict") return;
    this.#last = { from, to, why, at: clock.wall() };
    bus.emit("scaled", this.#last);
    await this.#say("Normal", "Scaled", `Scaling from ${from} to ${to} replicas: ${why}`);
  }

  /** Who was to go and is still there takes no more work: another pod in its place does. */
  async #replaceSpared({ workers }: Observed): Promise<void> {
    const { cluster, clock } = this.#options;
    const up = new Map(workers.map((w) => [w._id, w.state]));
    for (const [sid, at] of this.#marked) {
      const state = up.get(sid);
      if (state === undefined || state === "gone" || state === "dead") this.#marked.delete(sid);
      else if (clock.mono() - at >= SPARED_MS) {
        const pod = cluster.pods().find((p) => p.uid === podOf(sid));
        if (pod !== undefined && !pod.isTerminating) await cluster.deletePod(pod.name, pod.uid);
        this.#marked.delete(sid);
      }
    }
  }

  /** Pods that the Deployment counts and that serve nobody. */
  #lost(): number {
    return this.#options.cluster.pods().filter((pod) => pod.isLost && !pod.isTerminating).length;
  }

  /** Whether it is known by what to scale. */
  #readSettings(): boolean {
    const { cluster, base, bus } = this.#options;
    const data = cluster.scaling() ?? {};
    if (data === "unread") return false;
    const read = readScalingSettings(data, base);
    const refused = read.faults.join("; ");
    if (refused !== this.#refused && refused !== "") bus.emit("scaling:refused", { reason: refused });
    this.#refused = refused;
    if (!("settings" in read)) return true;
    const isNews = !this.#hasRead || JSON.stringify(read.settings) !== JSON.stringify(this.#settings);
    this.#settings = read.settings;
    this.#hasRead = true;
    if (isNews) bus.emit("scaling:settings", read.settings);
    return true;
  }

  async #tellRefused(): Promise<void> {
    if (this.#refused === this.#toldRefused) return;
    this.#toldRefused = this.#refused;
    if (this.#refused !== "") await this.#say("Warning", "InvalidScaling", `${this.#refused}: the bounds from before hold`);
  }

  #missing(): MissingPods {
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

  /** Told when it changes. */
  async #tellMissing(): Promise<void> {
    const missing = this.#missing();
    const { failure, pending } = missing;
    const now = JSON.stringify(missing);
    if (now === this.#toldMissing) return;
    this.#toldMissing = now;
    if (failure === null && pending.length === 0) return;
    this.#options.bus.emit("pods:missing", missing);
    if (failure !== null) await this.#say("Warning", "PodsRefused", `The cluster refuses new pods: ${failure}`);
    for (const { pods, why } of pending) await this.#say("Warning", "PodsPending", `${pods} pod(s) wait to be placed: ${why}`);
  }

  async #tellHold(decision: ScalingDecision, { replicas, foreignScaler }: DeploymentView): Promise<void> {
    const why = decision.kind === "hold" ? decision.why : "";
    if (why === this.#held) return;
    this.#held = why;
    if (why === "" || why === "steady") return;
    this.#options.bus.emit("scaling:held", { why, replicas, foreign: foreignScaler });
    if (why === "foreign")
      await this.#say("Warning", "ForeignScaler", `Not scaling: "${foreignScaler}" owns spec.replicas. One writer only`);
  }

  /** Events are for people: without the right to write them everything else goes on. */
  async #say(type: "Normal" | "Warning", reason: string, note: string): Promise<void> {
    await this.#options.cluster
      .tell(type, reason, note)
      .catch((error: unknown) => this.#options.bus.emit("event:untold", { reason, error }));
  }
}
