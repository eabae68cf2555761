import type { Clock } from "../core/clock.ts";
import { ClusterRefusedError, ConfigurationError } from "../core/errors.ts";
import type { Timings } from "../core/timings.ts";
import type { Cluster } from "../leader/cluster.ts";
import type { Election } from "../leader/elector.ts";
import type { OwnLease } from "../worker/own-lease.ts";
import type { Access } from "./access.ts";
import { ApiClient } from "./client.ts";
import { KubernetesCluster, type KubernetesClusterOptions } from "./cluster.ts";
import { KubernetesElection, type KubernetesElectionOptions } from "./election.ts";
import { APPS, deploymentReference, type OwnerReference, pathOf, type RawObject } from "./objects.ts";
import { KubernetesOwnLease } from "./own-lease.ts";

/** Where in the cluster a fleet lies. */
type ClusterPlace = {
  readonly access: Access;
  readonly namespace: string;
  /** DEPLOYMENT_NAME. */
  readonly deployment: string;
  /** LEASE_LOCK_NAME. */
  readonly lock: string;
  /** POD_NAME. */
  readonly pod: string;
};

/** What a thread of its own needs to renew its worker's Lease: plain data. */
export type OwnLeasePlace = ClusterPlace & { readonly deploymentUid: string; readonly timings: Timings };

/** No call of a leader or a watcher takes longer, in ms, where a session is renewed each second. */
const CALL_RENEWALS = 5;
const NOT_FOUND = 404;

type ConnectOptions = ClusterPlace & {
  readonly timings: Timings;
  /** SCALING_CONFIGMAP. */
  readonly configMap: string | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  readonly onFault: NonNullable<KubernetesClusterOptions["onFault"]>;
};

/** Who stands for election: no call takes longer than `limitMs`. */
export type Candidate = Pick<KubernetesElectionOptions, "self" | "reachesStore" | "onFree"> & { readonly limitMs: number };

/** One connection to the API server, and what is built on it. */
export type ClusterConnection = {
  /** The watched copies. The Deployment owns every Lease that is made, so that they go with it. */
  cluster(deploymentUid: string): Cluster;
  /** The lease of leadership, with its own watch. */
  election(deploymentUid: string, candidate: Candidate): Election & { run(signal: AbortSignal): Promise<void> };
  /** @throws as `findDeployment` */
  deploymentUid(): Promise<string>;
  close(): void;
};

/** Makes no call yet. */
export function connectCluster(options: ConnectOptions): ClusterConnection {
  const { access, namespace, deployment, lock, pod, timings, configMap, clock, random, onFault } = options;
  const client = new ApiClient(access);
  const callMs = CALL_RENEWALS * timings.renewMs;
  const common = { client, clock, random, namespace };
  const ownedBy = (uid: string): OwnerReference => deploymentReference({ name: deployment, uid });
  return {
    cluster: (deploymentUid) =>
      new KubernetesCluster({ ...common, deployment: ownedBy(deploymentUid), lock, configMap, pod, endMs: timings.endMs, callMs, onFault }),
    election: (deploymentUid, { limitMs, ...candidate }) =>
      new KubernetesElection({
        ...common,
        name: lock,
        owner: ownedBy(deploymentUid),
        ...candidate,
        callMs: limitMs,
        onFault: (error) => onFault("election", error),
      }),
    deploymentUid: async () => {
      const { metadata } = await findDeployment(client, { namespace, deployment, limitMs: callMs });
      return metadata.uid;
    },
    close: () => client.close(),
  };
}

/** The channel of the heartbeat thread, with a connection of its own. */
export function openOwnLease(
  { access, namespace, deployment, deploymentUid, lock, pod, timings }: OwnLeasePlace,
  wall: () => Date,
): OwnLease {
  const owner = deploymentReference({ name: deployment, uid: deploymentUid });
  const place = { client: new ApiClient(access), namespace, lock, owner, leaseMs: timings.endMs, callMs: timings.callMs, wall };
  return new KubernetesOwnLease(place, pod);
}

/** The Deployment whose pods we are; its UID names the fleet.
 *  @throws {ConfigurationError} when there is none, or it may not be read. @throws {ClusterUnreachableError} */
export async function findDeployment(
  client: ApiClient,
  { namespace, deployment, limitMs }: { readonly namespace: string; readonly deployment: string; readonly limitMs: number },
): Promise<RawObject & { readonly metadata: { readonly uid: string } }> {
  const path = pathOf(APPS, namespace, "deployments", deployment);
  try {
    const { body } = await client.call({ verb: "get", what: `deployments "${deployment}"`, path, limitMs });
    const found = body as RawObject;
    const { uid } = found.metadata ?? {};
    if (uid !== undefined) return { ...found, metadata: { ...found.metadata, uid } };
    throw new ConfigurationError(`Cannot read the UID of Deployment "${deployment}": what answers there is no Kubernetes API`);
  } catch (cause) {
    if (!(cause instanceof ClusterRefusedError)) throw cause;
    const fix =
      cause.status === NOT_FOUND
        ? `there is no Deployment "${deployment}" in namespace "${namespace}": set DEPLOYMENT_NAME and NAMESPACE to those of these pods`
        : `the service account of these pods may not read Deployment "${deployment}": give it the Role of the Helm chart`;
    throw new ConfigurationError(`DEPLOYMENT_NAME: ${fix}`, { cause });
  }
}
