import type { LeaseReply } from "../../src/core/lease.ts";
import type { Cluster, DeploymentView, PodPatch, PodView, Watching } from "../../src/leader/cluster.ts";

/** One pod as Kubernetes would show it. */
export const aPod = (name: string, over: Partial<PodView> = {}): PodView => ({
  name,
  uid: name,
  node: "node",
  generation: 1,
  phase: "Running",
  pending: undefined,
  isTerminating: false,
  isProvenDead: false,
  isLost: false,
  labels: {},
  annotations: {},
  ...over,
});

/** A cluster that does what it is told and shows it at once. */
export class FakeCluster implements Cluster {
  view: DeploymentView | undefined = { replicas: 3, isRollingOut: false, foreignScaler: undefined, failure: undefined };
  readonly running = new Map<string, PodView>();
  settings: ReturnType<Cluster["scaling"]>;
  version: string | undefined;
  readonly writes: string[] = [];
  readonly told: string[] = [];
  readonly deleted: string[] = [];
  /** Somebody else writes the count just before we do, so often. */
  conflicts = 0;
  #onChange: (what: Watching) => void = () => {};

  add(...pods: readonly PodView[]): void {
    for (const pod of pods) this.running.set(pod.name, pod);
  }

  changed(what: Watching): void {
    this.#onChange(what);
  }

  run(onChange: (what: Watching) => void, signal: AbortSignal): Promise<void> {
    this.#onChange = onChange;
    return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  }
  leases(): "none" {
    return "none";
  }
  deployment(): DeploymentView | undefined {
    return this.view;
  }
  pods(): readonly PodView[] {
    return [...this.running.values()];
  }
  scaling(): ReturnType<Cluster["scaling"]> {
    return this.settings;
  }
  scalingVersion(): string | undefined {
    return this.version;
  }
  writeLease(): Promise<LeaseReply> {
    return Promise.resolve({ kind: "conflict" });
  }
  deleteLease(): Promise<void> {
    return Promise.resolve();
  }
  async writeScale(from: number, to: number): Promise<"written" | "conflict"> {
    if (this.conflicts > 0) {
      this.conflicts -= 1;
      return "conflict";
    }
    this.writes.push(`${from}->${to}`);
    if (this.view !== undefined) this.view = { ...this.view, replicas: to };
    return "written";
  }
  async patchPod(name: string, { labels = {}, annotations = {} }: PodPatch): Promise<void> {
    const pod = this.running.get(name);
    if (pod !== undefined)
      this.running.set(name, { ...pod, labels: merged(pod.labels, labels), annotations: merged(pod.annotations, annotations) });
  }
  async deletePod(name: string): Promise<void> {
    this.deleted.push(name);
    this.running.delete(name);
  }
  async tell(_type: "Normal" | "Warning", reason: string, note: string): Promise<void> {
    this.told.push(`${reason}: ${note}`);
  }
}

function merged(before: Readonly<Record<string, string>>, change: Readonly<Record<string, string | null>>): Record<string, string> {
  const all = { ...before, ...change };
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== null));
}
