import type { Leases } from "../core/observation.ts";
import type { LeaseReply, LeaseWrite } from "../core/lease.ts";

/** What the leader and the workers need of Kubernetes. Reads come from watched copies and cost nothing; each write has a
 *  time limit. @throws {ClusterUnreachableError} when no answer came: what was asked may still happen. */
export interface Cluster {
  /** Keeps the copies until the signal aborts; calls `onChange` after each change of what they say. */
  run(onChange: (what: Watching) => void, signal: AbortSignal): Promise<void>;
  /** Workers' Leases as last seen; `unread` while the copy cannot be trusted: before the first list, and after a break
   *  until the next one. */
  leases(): Leases;
  /** The Deployment as last seen; undefined before the first look. */
  deployment(): DeploymentView | undefined;
  /** The Deployment's pods as last seen. */
  pods(): readonly PodView[];
  /** Bounds and mode from the watched ConfigMap, as text by key; undefined without one; `unread` before the first look. */
  scaling(): Readonly<Record<string, string>> | "unread" | undefined;
  /** Changes with each write of that ConfigMap; undefined while there is none. */
  scalingVersion(): string | undefined;

  writeLease(write: LeaseWrite): Promise<LeaseReply>;
  deleteLease(sid: string): Promise<void>;
  /** Writes `spec.replicas` through the scale subresource, only from the version that was read for it. */
  writeScale(from: number, to: number): Promise<"written" | "conflict">;
  /** Merges into one pod's metadata; a pod that is gone is no fault. `null` takes a key away. */
  patchPod(name: string, change: PodPatch): Promise<void>;
  deletePod(name: string, uid: string): Promise<void>;
  /** An Event on the Deployment, for `kubectl describe`. A fault is the caller's to log: nothing depends on it. */
  tell(type: "Normal" | "Warning", reason: string, note: string): Promise<void>;
}

export type Watching = "leases" | "deployment" | "pods" | "scaling";

export type PodPatch = {
  readonly labels?: Readonly<Record<string, string | null>>;
  readonly annotations?: Readonly<Record<string, string | null>>;
};

export type DeploymentView = {
  readonly replicas: number;
  /** The Deployment replaces its pods: not all of them are of the newest template, or not observed yet. */
  readonly isRollingOut: boolean;
  /** Who else owns `spec.replicas`: a manager in managedFields with subresource `scale` that is not ours. He may be gone. */
  readonly foreignScaler: string | undefined;
  /** ReplicaFailure's message: quota, Pod Security. */
  readonly failure: string | undefined;
};

export type PodView = {
  readonly name: string;
  /** What a session of this pod is called, or begins with. */
  readonly uid: string;
  readonly node: string;
  /** Rank of its ReplicaSet: higher is newer. */
  readonly generation: number;
  readonly phase: "Pending" | "Running" | "Succeeded" | "Failed" | "Unknown";
  /** Why it is not scheduled, in the scheduler's words. */
  readonly pending: string | undefined;
  readonly isTerminating: boolean;
  /** Phase Succeeded or Failed, and every container, sidecars too, terminated with a reason other than
   *  ContainerStatusUnknown: nothing of it can run. Source: ownership.md "Leader". */
  readonly isProvenDead: boolean;
  /** Its node is gone or unreachable, so it serves nobody, and the Deployment still counts it. A pod that is being deleted is
   *  not counted, and not lost in this sense. */
  readonly isLost: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
};
