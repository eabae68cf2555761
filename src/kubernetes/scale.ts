import { type ApiClient, FIELD_MANAGER } from "./client.ts";
import { APPS, pathOf, type RawObject } from "./objects.ts";

export type ScaleWrite = {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly deployment: string;
  readonly from: number;
  readonly to: number;
  /** The Deployment's version as it was watched; `undefined`: ask first. */
  readonly version: string | undefined;
  readonly callMs: number;
};

/** The Deployment's status changes its version all the time while pods come: so often is asked whether only that happened. */
const MAX_TRIES = 4;

/** Replaces `from` by `to` and nothing else: every write names the version in which `from` was read.
 *  @throws {ClusterUnreachableError} it may have landed. @throws {ClusterRefusedError} */
export async function writeScale(write: ScaleWrite): Promise<"written" | "conflict"> {
  const { client, namespace, deployment, from, to, callMs } = write;
  const path = `${pathOf(APPS, namespace, "deployments", deployment)}/scale`;
  const what = `deployments/scale "${deployment}"`;
  let { version } = write;
  for (let i = 0; i < MAX_TRIES; i++) {
    if (version === undefined) {
      const { status, body } = await client.call({ verb: "get", what, path, limitMs: callMs, expect: [404] });
      const { metadata, spec } = (body ?? {}) as RawObject & { readonly spec?: { readonly replicas?: number } };
      if (status === 404 || (spec?.replicas ?? 0) !== from) return "conflict"; // zero is left out of a Scale
      version = metadata?.resourceVersion;
    }
    const { status } = await client.call({
      verb: "update",
      what,
      path: `${path}?fieldManager=${FIELD_MANAGER}`,
      body: {
        apiVersion: "autoscaling/v1",
        kind: "Scale",
        metadata: { name: deployment, namespace, resourceVersion: version },
        spec: { replicas: to },
      },
      limitMs: callMs,
      expect: [404, 409],
    });
    if (status < 400) return "written";
    if (status === 404) return "conflict";
    version = undefined;
  }
  return "conflict";
}
