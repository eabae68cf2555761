import type { Config } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import type { ScalingSettings } from "../core/scaling-settings.ts";
import { timingsOf } from "../core/timings.ts";
import { loadAccess } from "../kubernetes/access.ts";
import { type Candidate, type ClusterConnection, connectCluster, type OwnLeasePlace } from "../kubernetes/connect.ts";
import type { Cluster } from "../leader/cluster.ts";
import { deploymentUidOf } from "../process/kept-names.ts";

/** What this process has of Kubernetes. */
export type ClusterSide = {
  readonly connection: ClusterConnection;
  readonly cluster: Cluster;
  /** The lease of leadership, with its own watch. */
  readonly election: (candidate: Candidate) => ReturnType<ClusterConnection["election"]>;
  /** The Deployment's UID, which names the fleet. */
  readonly deploymentUid: string;
  /** Where the heartbeat thread finds its Lease. */
  readonly ownLease: OwnLeasePlace;
};

export type ClusterSideOptions = {
  readonly config: Config;
  readonly clock: Clock;
  readonly random: () => number;
  readonly onFault: (error: unknown) => void;
  /** Repeats what fails for a passing reason. */
  readonly patiently: <T>(act: () => Promise<T>) => Promise<T>;
};

/** Finds the API server and the Deployment whose pods these are. @throws {ConfigurationError} */
export async function openClusterSide({ config, clock, random, onFault, patiently }: ClusterSideOptions): Promise<ClusterSide> {
  const access = await loadAccess(process.env);
  const { namespace, deploymentName: deployment, leaseLockName: lock, podName: pod } = config;
  const place = { access, namespace, deployment, lock, pod, timings: timingsOf(config) };
  const connection = connectCluster({
    ...place,
    clock,
    random,
    configMap: config.scalingConfigmap,
    onFault: (_, error) => onFault(error),
  });
  const deploymentUid = await deploymentUidOf(config.stateDir, () => patiently(() => connection.deploymentUid()));
  return {
    connection,
    cluster: connection.cluster(deploymentUid),
    election: (candidate) => connection.election(deploymentUid, candidate),
    deploymentUid,
    ownLease: { ...place, deploymentUid },
  };
}

/** The bounds as the environment has them; the watched ConfigMap wins over them, key by key. */
export function scalingOf(config: Config): ScalingSettings {
  return {
    mode: config.scaler,
    min: config.minReplicas,
    max: config.maxReplicas,
    standby: config.standbyWorkers,
    checkIntervalMs: config.scaleCheckIntervalSeconds * 1_000,
    cooldownMs: config.scaleCooldownSeconds * 1_000,
  };
}
