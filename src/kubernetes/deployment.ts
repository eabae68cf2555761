import { createHash } from "node:crypto";
import type { DeploymentView } from "../leader/cluster.ts";
import { FIELD_MANAGER } from "./client.ts";
import type { ManagedFields, Meta, RawObject } from "./objects.ts";

/** What is kept of the Deployment. */
export type KeptDeployment = {
  readonly view: DeploymentView;
  readonly version: string;
  /** Its pods, as a label selector in text. */
  readonly selector: string;
  readonly template: Fingerprint;
};

/** What of a pod's template survives in the pod as it is, and differs between most templates. */
export type Fingerprint = {
  readonly containers: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
};

type Container = { readonly name?: string; readonly image?: string; readonly [key: string]: unknown };
export type PodSpec = {
  readonly nodeName?: string;
  readonly containers?: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly readinessGates?: readonly unknown[];
};
type Template = { readonly metadata?: Meta; readonly spec?: PodSpec };
type Spec = {
  readonly replicas?: number;
  readonly selector?: { readonly matchLabels?: Record<string, string> };
  readonly template?: Template;
};
type Status = {
  readonly observedGeneration?: number;
  readonly replicas?: number;
  readonly updatedReplicas?: number;
  readonly conditions?: readonly {
    readonly type?: string;
    readonly status?: string;
    readonly reason?: string;
    readonly message?: string;
  }[];
};

export function readDeployment(raw: RawObject): KeptDeployment {
  const { metadata = {} } = raw;
  const spec = (raw["spec"] ?? {}) as Spec;
  const status = (raw["status"] ?? {}) as Status;
  const failed = status.conditions?.find(({ type, status: is }) => type === "ReplicaFailure" && is === "True");
  const isUnobserved = (status.observedGeneration ?? 0) < (metadata.generation ?? 0);
  return {
    view: {
      replicas: spec.replicas ?? 1,
      isRollingOut: isUnobserved || (status.updatedReplicas ?? 0) < (status.replicas ?? 0),
      foreignScaler: foreignScaler(metadata.managedFields ?? []),
      failure: failed && (failed.message ?? failed.reason ?? "ReplicaFailure"),
    },
    version: metadata.resourceVersion ?? "",
    selector: Object.entries(spec.selector?.matchLabels ?? {})
      .map(([key, value]) => `${key}=${value}`)
      .join(","),
    template: {
      containers: containersPrint(spec.template?.spec),
      annotations: spec.template?.metadata?.annotations ?? {},
      labels: spec.template?.metadata?.labels ?? {},
    },
  };
}

/** A manager of `spec.replicas` that is not ours. Who made the Deployment owns the API's default for it, and then also the
 *  selector, which nobody can write later; by server-side apply only what was asked for is owned. */
function foreignScaler(managed: readonly ManagedFields[]): string | undefined {
  return managed.find(({ manager, operation, fieldsV1 }) => {
    const owned = fieldsV1?.["f:spec"] ?? {};
    return manager !== FIELD_MANAGER && "f:replicas" in owned && (operation === "Apply" || !("f:selector" in owned));
  })?.manager;
}

/** Of what admission does not touch in a usual cluster. Where it does, no pod matches, and their age tells. */
export function containersPrint(spec: PodSpec | undefined): string {
  const texts = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].map(({ name, image, command, args, env }) =>
    JSON.stringify([name, image, command, args, env]),
  );
  return createHash("sha256").update(texts.join("\n")).digest("base64url");
}
