import type { Clock } from "../core/clock.ts";
import type { FoundLease, LeaseReply, LeaseWrite } from "../core/lease.ts";
import type { Leases } from "../core/observation.ts";
import type { SessionId } from "../core/ids.ts";
import type { Cluster, DeploymentView, PodPatch, PodView, Watching } from "../leader/cluster.ts";
import { runGroup } from "../process/run-group.ts";
import { untilAborted } from "../process/until-aborted.ts";
import { type ApiClient, FIELD_MANAGER } from "./client.ts";
import { type KeptDeployment, readDeployment } from "./deployment.ts";
import { DeploymentEvents } from "./events.ts";
import { APPS, type OwnerReference, pathOf, type RawObject } from "./objects.ts";
import { type KeptPod, rankPods, readPod } from "./pods.ts";
import { writeScale } from "./scale.ts";
import { WatchedList, type WatchedListOptions } from "./watched-list.ts";
import { LEASES, type LeasePlace, leaseSelector, putLease, readLease, removeLease } from "./worker-lease.ts";

export type KubernetesClusterOptions = {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly random: () => number;
  readonly namespace: string;
  /** DEPLOYMENT_NAME, and its UID. */
  readonly deployment: OwnerReference;
  /** LEASE_LOCK_NAME. */
  readonly lock: string;
  /** SCALING_CONFIGMAP. */
  readonly configMap: string | undefined;
  /** POD_NAME, for Events. */
  readonly pod: string;
  /** L, for people who look at a Lease, in ms. */
  readonly endMs: number;
  /** No write takes longer, in ms. */
  readonly callMs: number;
  /** A watch broke, or is refused: it is tried again. */
  readonly onFault?: (what: Watching | "election", error: unknown) => void;
};

type KeptLease = FoundLease & { readonly holder: string | undefined };
type KeptScaling = { readonly data: Readonly<Record<string, string>>; readonly version: string };
type Selected = Pick<WatchedListOptions<unknown>, "what" | "path" | "query">;

/** The cluster as the leader and the workers see it: four watched copies, and writes. */
export class KubernetesCluster implements Cluster {
  readonly #options: KubernetesClusterOptions;
  readonly #place: LeasePlace;
  readonly #events: DeploymentEvents;
  readonly #leases: WatchedList<KeptLease>;
  readonly #deployments: WatchedList<KeptDeployment>;
  readonly #configMaps: WatchedList<KeptScaling> | undefined;
  #pods: WatchedList<KeptPod> | undefined;
  #onChange: (what: Watching) => void = () => {};
  /** Ends the wait for the Deployment's selector. */
  readonly #known = Promise.withResolvers<string>();

  constructor(options: KubernetesClusterOptions) {
    const { client, clock, namespace, deployment, lock, configMap, endMs, callMs, pod } = options;
    const wall = (): Date => clock.wall();
    this.#options = options;
    this.#place = { client, namespace, lock, owner: deployment, leaseMs: endMs, callMs, wall };
    this.#events = new DeploymentEvents({ client, namespace, deployment, pod, wall, callMs });
    const leases = { what: "leases", path: pathOf(LEASES, namespace, "leases"), query: { labelSelector: leaseSelector(lock) } };
    this.#leases = this.#watched("leases", leases, keepLease);
    const deployments = named("deployments", deployment.name, pathOf(APPS, namespace, "deployments"));
    this.#deployments = this.#watched("deployment", deployments, readDeployment);
    if (configMap !== undefined) {
      const maps = named("configmaps", configMap, pathOf("v1", namespace, "configmaps"));
      this.#configMaps = this.#watched("scaling", maps, keepScaling);
    }
  }

  async run(onChange: (what: Watching) => void, signal: AbortSignal): Promise<void> {
    this.#onChange = onChange;
    const lists = [this.#leases, this.#deployments, ...(this.#configMaps === undefined ? [] : [this.#configMaps])];
    await runGroup([...lists.map((list) => (end: AbortSignal) => list.run(end)), (end) => this.#runPods(end)], signal);
  }

  leases(): Leases {
    if (!this.#leases.isFresh) return "unread";
    return new Map<SessionId, FoundLease>([...this.#leases.items.values()].map(({ lease, version }) => [lease.sid, { lease, version }]));
  }

  deployment(): DeploymentView | undefined {
    return this.#kept()?.view;
  }

  pods(): readonly PodView[] {
    return rankPods(this.#pods?.items.values() ?? [], this.#kept()?.template);
  }

  scaling(): ReturnType<Cluster["scaling"]> {
    const maps = this.#configMaps;
    if (maps === undefined) return undefined;
    return this.#told()?.data ?? (maps.isFresh ? undefined : "unread");
  }

  scalingVersion(): string | undefined {
    return this.#told()?.version;
  }

  async writeLease(write: LeaseWrite): Promise<LeaseReply> {
    const seen = [...this.#leases.items.values()].find(({ lease }) => lease.sid === write.sid);
    const reply = await putLease(this.#place, write, seen?.holder);
    // The watch may only be slow, or it may be dead without having ended: then a list shows how things are.
    if (reply.kind === "conflict" && seen?.version === write.expect) this.#leases.distrust();
    return reply;
  }

  deleteLease(sid: string): Promise<void> {
    return removeLease(this.#place, sid as SessionId);
  }

  writeScale(from: number, to: number): Promise<"written" | "conflict"> {
    const { client, namespace, deployment, callMs } = this.#options;
    const kept = this.#kept();
    const version = this.#deployments.isFresh && kept?.view.replicas === from ? kept.version : undefined;
    return writeScale({ client, namespace, deployment: deployment.name, from, to, version, callMs });
  }

  async patchPod(name: string, { labels, annotations }: PodPatch): Promise<void> {
    const { client, namespace, callMs } = this.#options;
    const path = `${pathOf("v1", namespace, "pods", name)}?fieldManager=${FIELD_MANAGER}`;
    const body = { metadata: { ...(labels && { labels }), ...(annotations && { annotations }) } };
    await client.call({ verb: "patch", what: `pods "${name}"`, path, body, limitMs: callMs, expect: [404] });
  }

  /** One that is gone, or whose name another pod has by now, is no fault. */
  async deletePod(name: string, uid: string): Promise<void> {
    const { client, namespace, callMs } = this.#options;
    const path = pathOf("v1", namespace, "pods", name);
    const body = { apiVersion: "v1", kind: "DeleteOptions", preconditions: { uid } };
    await client.call({ verb: "delete", what: `pods "${name}"`, path, body, limitMs: callMs, expect: [404, 409] });
  }

  tell(type: "Normal" | "Warning", reason: string, note: string): Promise<void> {
    return this.#events.tell(type, reason, note);
  }

  #kept(): KeptDeployment | undefined {
    return this.#deployments.items.get(this.#options.deployment.name);
  }

  #told(): KeptScaling | undefined {
    return this.#configMaps?.items.get(this.#options.configMap ?? "");
  }

  /** Which pods are the Deployment's it says itself, in a selector that never changes. */
  async #runPods(signal: AbortSignal): Promise<void> {
    const { namespace, deployment } = this.#options;
    const selector = await untilAborted(this.#known.promise, signal);
    if (selector === undefined) return;
    const pods = { what: "pods", path: pathOf("v1", namespace, "pods"), query: { labelSelector: selector } };
    this.#pods = this.#watched("pods", pods, (raw) => readPod(raw, deployment.name));
    await this.#pods.run(signal);
  }

  #watched<T>(what: Watching, selected: Selected, pick: (raw: RawObject) => T | undefined): WatchedList<T> {
    const { client, clock, random, onFault } = this.#options;
    const tell = (): void => {
      const kept = what === "deployment" ? this.#kept() : undefined;
      if (kept !== undefined) this.#known.resolve(kept.selector);
      this.#onChange(what);
    };
    return new WatchedList({ client, clock, random, ...selected, pick, onChange: tell, onFault: (error) => onFault?.(what, error) });
  }
}

function named(resource: string, name: string, path: string): Selected {
  return { what: `${resource} "${name}"`, path, query: { fieldSelector: `metadata.name=${name}` } };
}

function keepScaling(raw: RawObject): KeptScaling {
  return { data: (raw["data"] ?? {}) as Readonly<Record<string, string>>, version: raw.metadata?.resourceVersion ?? "" };
}

function keepLease(raw: RawObject): KeptLease | undefined {
  const found = readLease(raw);
  const { holderIdentity: holder } = (raw["spec"] ?? {}) as { readonly holderIdentity?: string };
  return found && { ...found, holder };
}
