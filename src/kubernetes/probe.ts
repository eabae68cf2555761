import type { ClusterProbe, Right } from "../doctor/ports.ts";
import type { Access } from "./access.ts";
import { ApiClient } from "./client.ts";
import { findDeployment } from "./connect.ts";
import { readDeployment } from "./deployment.ts";
import { pathOf, type RawObject } from "./objects.ts";

const REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

export type ClusterProbeOptions = {
  /** Asked with the first question. @throws {ConfigurationError} */
  readonly access: () => Promise<Access>;
  readonly namespace: string;
  readonly deployment: string;
  readonly configMap: string | undefined;
  /** No call takes longer, in ms. */
  readonly limitMs: number;
};

/** The Kubernetes API as `runtime doctor` looks at it. A review of access is a question: it is answered and not kept. */
export function openClusterProbe({
  access,
  namespace,
  deployment,
  configMap,
  limitMs,
}: ClusterProbeOptions): ClusterProbe & { close(): void } {
  let opened: ApiClient | undefined;
  let opening: Promise<ApiClient> | undefined;
  const open = (): Promise<ApiClient> => (opening ??= access().then((found) => (opened = new ApiClient(found))));
  return {
    async deployment() {
      const raw = await findDeployment(await open(), { namespace, deployment, limitMs });
      const { replicas, failure, foreignScaler } = readDeployment(raw).view;
      return { replicas, failure, foreignScaler };
    },

    async may(right) {
      const body = reviewOf(right, namespace);
      const client = await open();
      const reply = await client.call({ verb: "create", what: "selfsubjectaccessreviews", path: REVIEWS, body, limitMs });
      return (reply.body as { readonly status?: { readonly allowed?: boolean } }).status?.allowed === true;
    },

    async scalingData() {
      if (configMap === undefined) return undefined;
      const path = pathOf("v1", namespace, "configmaps", configMap);
      const client = await open();
      const { status, body } = await client.call({ verb: "get", what: `configmaps "${configMap}"`, path, limitMs, expect: [404] });
      return status === 404 ? undefined : (((body as RawObject)["data"] ?? {}) as Readonly<Record<string, string>>);
    },

    close: () => opened?.close(),
  };
}

function reviewOf({ verb, group, resource, subresource, name }: Right, namespace: string): object {
  const asked = {
    namespace,
    verb,
    group,
    resource,
    ...(subresource !== undefined && { subresource }),
    ...(name !== undefined && { name }),
  };
  return { apiVersion: "authorization.k8s.io/v1", kind: "SelfSubjectAccessReview", spec: { resourceAttributes: asked } };
}
