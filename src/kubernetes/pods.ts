import type { PodView } from "../leader/cluster.ts";
import { containersPrint, type Fingerprint, type PodSpec } from "./deployment.ts";
import type { RawObject } from "./objects.ts";

/** What is kept of a pod: the view but for its rank, and what the rank is made of. */
export type KeptPod = Omit<PodView, "generation"> & {
  readonly replicaSet: string;
  readonly createdMs: number;
  readonly containers: string;
};

type State = { readonly name?: string; readonly state?: { readonly terminated?: { readonly reason?: string } } };
type Condition = { readonly type?: string; readonly status?: string; readonly reason?: string; readonly message?: string };
type Status = {
  readonly phase?: string;
  readonly reason?: string;
  readonly conditions?: readonly Condition[];
  readonly containerStatuses?: readonly State[];
  readonly initContainerStatuses?: readonly State[];
  readonly ephemeralContainerStatuses?: readonly State[];
};
type Spec = PodSpec & { readonly ephemeralContainers?: readonly unknown[] };

const PHASES = ["Pending", "Running", "Succeeded", "Failed", "Unknown"] as const;

/** `undefined`: the selector finds it, but no ReplicaSet of our Deployment has made it. */
export function readPod({ metadata = {}, ...raw }: RawObject, deployment: string): KeptPod | undefined {
  const owner = metadata.ownerReferences?.find(({ kind }) => kind === "ReplicaSet");
  if (owner === undefined || owner.name.slice(0, owner.name.lastIndexOf("-")) !== deployment) return undefined;
  const spec = (raw["spec"] ?? {}) as Spec;
  const status = (raw["status"] ?? {}) as Status;
  const isTerminating = metadata.deletionTimestamp !== undefined;
  const scheduled = conditionOf(status, "PodScheduled");
  const phase = PHASES.find((known) => known === status.phase) ?? "Unknown";
  return {
    name: metadata.name ?? "",
    uid: metadata.uid ?? "",
    node: spec.nodeName ?? "",
    phase,
    pending: phase === "Pending" && scheduled?.status === "False" ? (scheduled.message ?? scheduled.reason ?? "") : undefined,
    isTerminating,
    isProvenDead: isProvenDead(spec, status),
    isLost: isLost(spec, status, isTerminating),
    labels: metadata.labels ?? {},
    annotations: metadata.annotations ?? {},
    replicaSet: owner.name,
    createdMs: Date.parse(metadata.creationTimestamp ?? "") || 0,
    containers: containersPrint(spec),
  };
}

/** Nothing of it runs, in the kubelet's own words. Each container that it should have must be told of: what is not told of
 *  may run, and ContainerStatusUnknown is what is written for a container that nobody could find. */
function isProvenDead(spec: Spec, status: Status): boolean {
  if (status.phase !== "Succeeded" && status.phase !== "Failed") return false;
  const told = [status.containerStatuses, status.initContainerStatuses, status.ephemeralContainerStatuses].map((states) => states ?? []);
  const asked = [spec.containers, spec.initContainers, spec.ephemeralContainers].map((containers) => containers?.length ?? 0);
  return (
    asked[0] !== 0 &&
    told.every((states, i) => states.length >= (asked[i] ?? 0)) &&
    told.flat().every(({ state }) => {
      const reason = state?.terminated?.reason;
      return state?.terminated !== undefined && reason !== undefined && reason !== "ContainerStatusUnknown";
    })
  );
}

/** Nodes are not ours to read, but the control plane marks the pods of a silent one: not Ready, while the kubelet's last word,
 *  ContainersReady, still stands. A kubelet that lives writes both together. A pod that is being deleted is not lost in
 *  this sense: its ReplicaSet has left it out of its count and made another. */
function isLost({ readinessGates = [] }: Spec, status: Status, isTerminating: boolean): boolean {
  if (isTerminating || status.phase === "Succeeded" || status.phase === "Failed") return false;
  const ready = conditionOf(status, "Ready")?.status;
  const isMarked = ready === "False" && conditionOf(status, "ContainersReady")?.status === "True" && readinessGates.length === 0;
  return status.reason === "NodeLost" || ready === "Unknown" || isMarked;
}

function conditionOf({ conditions = [] }: Status, type: string): Condition | undefined {
  return conditions.find((condition) => condition.type === type);
}

/** Ranks pods by their ReplicaSets, which are not ours to read: those that look like the Deployment's template as it is are
 *  newer than all others, so a rollback counts; among equals the one whose oldest pod is younger. */
export function rankPods(pods: Iterable<KeptPod>, template: Fingerprint | undefined): PodView[] {
  const all = [...pods];
  const sets = new Map<string, { isCurrent: boolean; createdMs: number }>();
  for (const pod of all) {
    const set = sets.get(pod.replicaSet);
    const isCurrent = template !== undefined && looksLike(pod, template);
    sets.set(pod.replicaSet, {
      isCurrent: isCurrent || set?.isCurrent === true,
      createdMs: Math.min(pod.createdMs, set?.createdMs ?? Infinity),
    });
  }
  const order = [...sets].sort(
    ([nameA, a], [nameB, b]) => Number(a.isCurrent) - Number(b.isCurrent) || a.createdMs - b.createdMs || (nameA < nameB ? -1 : 1),
  );
  const ranks = new Map(order.map(([name], rank) => [name, rank]));
  return all.map((pod) => ({ ...pod, generation: ranks.get(pod.replicaSet) ?? 0 }));
}

function looksLike(pod: KeptPod, { containers, annotations, labels }: Fingerprint): boolean {
  const has = (there: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean =>
    Object.entries(wanted).every(([key, value]) => there[key] === value);
  return pod.containers === containers && has(pod.annotations, annotations) && has(pod.labels, labels);
}
