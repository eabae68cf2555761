import type { Config } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import { openEngineProbe } from "../docker/probe.ts";
import { clusterChecks } from "../doctor/cluster-checks.ts";
import { engineChecks } from "../doctor/engine-checks.ts";
import { fenceChecks } from "../doctor/fence-checks.ts";
import type { Check } from "../doctor/finding.ts";
import type { FenceProbe } from "../doctor/ports.ts";
import { storeChecks } from "../doctor/store-checks.ts";
import { loadAccess } from "../kubernetes/access.ts";
import { openClusterProbe } from "../kubernetes/probe.ts";
import { openStoreProbe } from "../mongo/probe.ts";
import { FenceFile } from "../process/fence-file.ts";
import { scalingOf } from "./cluster-side.ts";

/** Of a check's limit, what one call of it may take: its own words for being late say more than the check's. */
const CALL_SHARE = 0.8;

export type DoctorOptions = {
  readonly config: Config;
  readonly clock: Clock;
  /** No check takes longer, in ms. */
  readonly limitMs: number;
};

/** All checks that this configuration has a use for. Nothing is asked before they run. @throws {ConfigurationError} */
export function openDoctor({ config, clock, limitMs }: DoctorOptions): { readonly checks: readonly Check[]; close(): Promise<void> } {
  const callMs = limitMs * CALL_SHARE;
  const { mongoUri: uri, dbName, collectionName, mongoTlsCaFile: caFile, mongoTlsCertFile: certFile } = config;
  const store = openStoreProbe({ uri, dbName, collectionName, tls: { caFile, certFile }, timeoutMs: callMs }, clock);
  const engine = openEngineProbe(config.dockerHost, clock);
  const fence = config.coordination === "single" || config.fenceDir === undefined ? undefined : fenceProbe(config.fenceDir);
  const { namespace, deploymentName: deployment, scalingConfigmap: configMap } = config;
  const place = { namespace, deployment, configMap };
  const cluster =
    config.coordination === "kubernetes"
      ? openClusterProbe({ ...place, access: () => loadAccess(process.env), limitMs: callMs })
      : undefined;
  return {
    checks: [
      ...storeChecks(store, config),
      ...engineChecks(engine, { fence, dockerHost: config.dockerHost, httpPort: config.httpPort }),
      ...(fence === undefined ? [] : fenceChecks(fence, clock)),
      ...(cluster === undefined ? [] : clusterChecks(cluster, { ...place, base: scalingOf(config) })),
    ],
    async close() {
      engine.close();
      cluster?.close();
      await store.close();
    },
  };
}

function fenceProbe(path: string): FenceProbe {
  const file = new FenceFile(path);
  return {
    dir: path,
    bootId: file.bootId,
    tick: () => file.readTick(),
    ground: () => file.readGround(),
    isMemory: () => file.isMemory(),
  };
}
