import type { MonoMs } from "../core/clock.ts";

/** What one user was granted, as the server tells it. */
export type Privilege = {
  readonly resource: { readonly db?: string; readonly collection?: string; readonly anyResource?: boolean };
  readonly actions: readonly string[];
};

/** What the checks need of MongoDB. Nothing here changes a document. */
export interface StoreProbe {
  /** Connects, and asks who answers. @throws {StoreUnreachableError} @throws {ConfigurationError} */
  server(): Promise<{ readonly version: string; readonly replicaSet: string | undefined; readonly isRouter: boolean }>;
  /** The collections of the database, as far as the user may know of them. */
  collections(): Promise<readonly string[]>;
  /** Whether the user may: asked with a filter that no document passes. Some servers make a collection for an `update` of nothing. */
  may(collection: string, act: "find" | "update" | "remove"): Promise<boolean>;
  /** `user` undefined: the server asks nobody for a name. Without privileges: it does not tell them. */
  grants(): Promise<{ readonly user: string | undefined; readonly privileges: readonly Privilege[] }>;
  /** How long a majority of the servers takes to acknowledge a write, in ms: one that finds nothing to remove. */
  majorityMs(): Promise<number>;
  /** How changes can be streamed; `why` is the server's refusal. */
  streams(): Promise<{ readonly by: "database" | "collections" } | { readonly by: "none"; readonly why: string }>;
}

export type EngineInfo = {
  readonly storageDriver: string;
  readonly cgroupDriver: string;
  readonly cgroupVersion: string;
  readonly liveRestore: boolean;
  /** Limits of bots that the Engine says it cannot hold: `memory`, `pids`, `cpu`. */
  readonly missingLimits: readonly string[];
};

/** What the checks need of the Docker Engine. */
export interface EngineProbe {
  ping(): Promise<void>;
  /** @throws {ConfigurationError} when there is no version of the API that both speak */
  version(): Promise<{ readonly version: string; readonly apiVersion: string }>;
  info(): Promise<EngineInfo>;
}

export type Tick = { readonly now: MonoMs; readonly bootId: string; readonly state: string; readonly trips: number };

/** What the fence says of the Engine that it started last. */
export type EngineGround = {
  /** Where bots lie, below the container's own cgroup; `why`: why not there. */
  readonly cgroup: { readonly version: string; readonly parent: string } | { readonly version: string; readonly why: string };
  /** Networks and ports of the pod that bots cannot reach. */
  readonly denied: readonly string[];
  readonly ports: readonly number[];
};

/** What the checks need of the directory that worker and fence share. */
export interface FenceProbe {
  readonly dir: string;
  readonly bootId: string;
  tick(): Tick | undefined;
  /** Whether the directory lies in memory. */
  isMemory(): Promise<boolean>;
  /** Undefined: the fence has started no Engine yet, or is an older one that does not tell. */
  ground(): EngineGround | undefined;
}

/** One thing that the pods' service account must be allowed. */
export type Right = {
  readonly verb: string;
  /** "" is the core. */
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly name?: string;
};

/** What the checks need of the Kubernetes API, with the service account of whoever runs them. */
export interface ClusterProbe {
  /** @throws {ConfigurationError} when there is none, or it may not be read */
  deployment(): Promise<{ readonly replicas: number; readonly failure: string | undefined; readonly foreignScaler: string | undefined }>;
  may(right: Right): Promise<boolean>;
  /** The data of the ConfigMap; undefined: there is none. */
  scalingData(): Promise<Readonly<Record<string, string>> | undefined>;
}
