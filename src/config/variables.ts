import { KUBERNETES_TIMINGS, MONGO_TIMINGS, type Timings } from "../core/timings.ts";
import {
  absolutePath,
  anyName,
  bool,
  collectionName,
  databaseName,
  dockerHost,
  mongoUri,
  objectName,
  oneOf,
  seconds,
  token,
  whole,
  type Reader,
} from "./values.ts";

/** What defaults may depend on. */
export type Surroundings = {
  readonly inCluster: boolean;
  readonly hostName: string;
  /** The default of STATE_DIR. */
  readonly stateDir: string;
  readonly coordination: Coordination;
  readonly timings: "default" | "ci";
};

export type Coordination = "single" | "mongo" | "kubernetes";

export type Variable<T> = {
  readonly read: Reader<Exclude<T, undefined>>;
  readonly fallback: (s: Surroundings) => T | undefined;
  /** The default as the documentation words it. */
  readonly fallbackText: string;
  /** Without a value here, in these surroundings, there is a fault. */
  readonly required: "always" | "cluster" | "never";
  /** Never shown; may also come from the file named by `<NAME>_FILE`. */
  readonly secret: boolean;
  /** Names a file that must be readable. */
  readonly file: boolean;
  readonly about: string;
  /** Follows "set it to". */
  readonly example: string;
};

type Words = { readonly about: string; readonly example: string };

function optional<T>(read: Reader<T>, words: Words): Variable<T | undefined> {
  return {
    read: read as Reader<Exclude<T, undefined>>,
    fallback: () => undefined,
    fallbackText: "",
    required: "never",
    secret: false,
    file: false,
    ...words,
  };
}

/** A function as `value` needs `text`, the default in words. */
function withDefault<T extends string | number | boolean>(
  read: Reader<T>,
  value: T | ((s: Surroundings) => T),
  about: string,
  text?: string,
): Variable<T> {
  const fallback = typeof value === "function" ? value : () => value;
  const fallbackText = text ?? `\`${String(value)}\``;
  return {
    read,
    fallback,
    fallbackText,
    required: "never",
    secret: false,
    file: false,
    about,
    example: typeof value === "function" ? "" : String(value),
  };
}

const timings: Readonly<Record<Coordination, Timings>> = {
  kubernetes: KUBERNETES_TIMINGS,
  single: KUBERNETES_TIMINGS,
  mongo: MONGO_TIMINGS,
};

/** One of the protocol's timings, told in seconds. */
function timing(name: keyof Timings, about: string): Variable<number> {
  const fallback = (s: Surroundings) => (timings[s.coordination][name] / 1_000) * (s.timings === "ci" ? 2 : 1);
  const [base, mongo] = [timings.kubernetes[name] / 1_000, timings.mongo[name] / 1_000];
  const text = mongo === base ? `\`${base}\`` : `\`${base}\` (\`mongo\`: \`${mongo}\`)`;
  return withDefault(seconds(0.1, 3600), fallback, about, `${text}, twice that with \`TIMINGS=ci\``);
}

/** Every variable we read. The order is that of the documentation. */
export const variables = {
  MONGO_URI: {
    ...optional(mongoUri, {
      about: "MongoDB connection string. TLS and authentication options belong into it.",
      example: "mongodb://mongo:27017",
    }),
    required: "always",
    secret: true,
  } as Variable<string>,
  DB_NAME: withDefault(databaseName, "bot_scheduler", "Database that holds the bots and our `runtime.*` collections."),
  COLLECTION_NAME: withDefault(collectionName, "bots", "Collection of bot documents. The runtime only reads it."),
  MONGO_TLS_CA_FILE: {
    ...optional(absolutePath, {
      about: "Certificate authority that MongoDB's certificate must come from (PEM).",
      example: "/etc/mongo/ca.pem",
    }),
    file: true,
  },
  MONGO_TLS_CERT_FILE: {
    ...optional(absolutePath, {
      about: "Client certificate and key for MongoDB (PEM, both in one file).",
      example: "/etc/mongo/client.pem",
    }),
    file: true,
  },

  DOCKER_HOST: withDefault(dockerHost, "unix:///var/run/docker.sock", "Docker Engine that runs the bots."),
  REGISTRY_AUTH_FILE: {
    ...optional(absolutePath, {
      about:
        "A docker `config.json` with the credentials of private registries: `auths` with `auth`, `username` and `password`, or `identitytoken`; no credential helpers. Read again when it changes.",
      example: "/etc/bot-runner/config.json",
    }),
    file: true,
  },
  STATE_DIR: withDefault(
    absolutePath,
    (s) => s.stateDir,
    "Directory for the process lock, the records of released segments and of images it pulled, and the bots' config files. The Docker Engine must see it under the same path.",
    "`/var/lib/bot-runner` as root, else `$XDG_STATE_HOME/bot-runner`, else `~/.local/state/bot-runner`",
  ),
  FENCE_DIR: optional(absolutePath, {
    about:
      "Directory on tmpfs that this process shares with the fence of its Docker Engine (`chart/files/fence.sh`). Required with `COORDINATION=mongo` and `kubernetes`.",
    example: "/run/bot-runner",
  }),
  START_CONCURRENCY: withDefault(whole(1, 64), 4, "Bots that one worker starts at the same time."),
  MAX_STOP_GRACE_SECONDS: withDefault(
    whole(0, 3600),
    60,
    "Longest `stopGraceSeconds` that a bot may ask for; a bot that asks for more is `invalid`.",
  ),
  MAX_BOTS_PER_WORKER: withDefault(
    whole(1, 100_000),
    500,
    "Over this number a worker takes no further segment; a single larger segment runs and alerts.",
  ),

  COORDINATION: withDefault(
    oneOf("single", "mongo", "kubernetes"),
    (s) => (s.inCluster ? "kubernetes" : "single"),
    "`single`: the operator says that this is the only process. `mongo`: several processes without Kubernetes, each with a Docker Engine of its own behind a fence. `kubernetes`: the pods of one Deployment, which the Helm chart installs.",
    "`kubernetes` inside a cluster, `single` outside",
  ),
  POD_NAME: {
    ...withDefault(
      anyName,
      (s) => (s.inCluster ? "" : s.hostName),
      "This worker's name in logs and status. Required in a cluster (`metadata.name`).",
      "host name outside a cluster",
    ),
    required: "cluster",
    example: "metadata.name by the downward API",
  } as Variable<string>,
  NAMESPACE: {
    ...withDefault(
      objectName,
      (s) => (s.inCluster ? "" : "local"),
      "Kubernetes namespace. Required in a cluster (`metadata.namespace`). With `COORDINATION=mongo` part of the fleet's name: all its processes must name the same.",
      "`local` outside a cluster",
    ),
    required: "cluster",
    example: "metadata.namespace by the downward API",
  } as Variable<string>,
  POD_UID: optional(anyName, {
    about:
      "This worker's session id. Required with `COORDINATION=kubernetes` (`metadata.uid`). Unset: the Docker Engine's ID, or with `COORDINATION=mongo` an id kept in STATE_DIR.",
    example: "metadata.uid by the downward API",
  }),
  NODE_NAME: optional(anyName, { about: "Machine this worker runs on, for status.", example: "spec.nodeName by the downward API" }),
  DEPLOYMENT_NAME: withDefault(objectName, "runtime", "Deployment whose pods these are, and that is scaled."),
  LEASE_LOCK_NAME: withDefault(
    objectName,
    "runtime",
    "Lease of the leader election; the workers' Leases begin with it. With `COORDINATION=mongo` part of the fleet's name.",
  ),

  MAX_SEGMENT: {
    ...withDefault(
      whole(1, 100_000),
      (s) => (s.inCluster ? 0 : 64),
      "Number of segments that new bots are spread over. Required in a cluster.",
      "`64` outside a cluster",
    ),
    required: "cluster",
    example: "64",
  } as Variable<number>,
  BACKLOG_PATIENCE_SECONDS: withDefault(whole(0, 3600), 30, "A segment that waited this long for a worker of its own shares one."),

  SCALER: withDefault(
    oneOf("native", "keda", "none"),
    (s) => (s.coordination === "kubernetes" ? "native" : "none"),
    "Who scales the Deployment.",
    "`native` with `COORDINATION=kubernetes`, else `none`",
  ),
  SCALING_CONFIGMAP: optional(objectName, {
    about: "ConfigMap whose keys win over the scaling variables.",
    example: "runtime-scaling",
  }),
  MIN_REPLICAS: withDefault(whole(1, 10_000), 3, "Least number of replicas."),
  MAX_REPLICAS: withDefault(whole(1, 10_000), 40, "Greatest number of replicas; not below `MIN_REPLICAS`."),
  STANDBY_WORKERS: withDefault(whole(0, 1000), 0, "Idle workers kept ready beyond what the segments need."),
  SCALE_CHECK_INTERVAL_SECONDS: withDefault(whole(1, 3600), 15, "Time between two looks at the scale; events act at once."),
  SCALE_COOLDOWN_SECONDS: withDefault(whole(0, 86_400), 30, "Time after a scaling before a scale-down."),

  HTTP_PORT: withDefault(whole(0, 65_535), 8080, "Port of `/healthz`, `/readyz`, `/metrics` and the API, on `::`. 0 takes any free one."),
  ENABLE_METRICS_ENDPOINT: withDefault(bool, true, "Serve `/metrics/segments`; `/metrics` is always on."),
  API_TOKEN: {
    ...optional(token, { about: "Bearer token of `/api/v1`. Unset: `/api/v1` is off.", example: "the output of: openssl rand -hex 32" }),
    secret: true,
  },
  LOG_LEVEL: withDefault(
    oneOf("error", "warn", "info", "debug"),
    "info",
    "Least important lines that are logged: `error`, `warn`, `info` or `debug`.",
  ),
  LOG_FORMAT: withDefault(
    oneOf("json", "text"),
    (s) => (s.inCluster ? "json" : "text"),
    "`json` for machines, `text` for people.",
    "`json` inside a cluster, `text` outside",
  ),

  TIMINGS: withDefault(oneOf("default", "ci"), "default", "`ci` doubles the timings below for slow, shared machines."),
  RENEW_SECONDS: timing("renewMs", "H: a worker renews its session this often; each call may take 0.8 of it."),
  SOFT_SECONDS: timing("softMs", "S: without a renewal for so long a worker starts nothing new."),
  STOP_SECONDS: timing("stopMs", "R: without a renewal for so long a worker stops its bots."),
  FENCE_SECONDS: timing("fenceMs", "W: without a renewal for so long the fence kills the bots."),
  KILL_SECONDS: timing("killMs", "K: the longest that the fence's kill may take."),
  SESSION_END_SECONDS: timing("endMs", "L: a session that others see silent for so long is ended."),
} satisfies Record<string, Variable<unknown>>;

export type VariableName = keyof typeof variables;

/** Variables that are read and checked, and that nothing in this version asks for. Remove a name when its first reader comes. */
const WITHOUT_EFFECT: ReadonlySet<VariableName> = new Set<VariableName>(["API_TOKEN"]);

/** What only the pods of a Deployment need. */
const FOR_KUBERNETES: ReadonlySet<VariableName> = new Set<VariableName>([
  "DEPLOYMENT_NAME",
  "MAX_REPLICAS",
  "MIN_REPLICAS",
  "SCALER",
  "SCALE_COOLDOWN_SECONDS",
  "SCALING_CONFIGMAP",
  "STANDBY_WORKERS",
]);

/** What only several processes need of each other. */
const FOR_SEVERAL: ReadonlySet<VariableName> = new Set<VariableName>([
  "BACKLOG_PATIENCE_SECONDS",
  "FENCE_DIR",
  "FENCE_SECONDS",
  "KILL_SECONDS",
  "LEASE_LOCK_NAME",
  "POD_UID",
  "SESSION_END_SECONDS",
  "SOFT_SECONDS",
  "STOP_SECONDS",
]);

/** Why a variable has no effect where it was set; undefined where it has one. */
export function whyIdle(name: VariableName, coordination: Coordination): string | undefined {
  if (WITHOUT_EFFECT.has(name)) return "in this version";
  if (coordination !== "kubernetes" && FOR_KUBERNETES.has(name)) return "unless COORDINATION=kubernetes";
  return coordination === "single" && FOR_SEVERAL.has(name) ? "with COORDINATION=single" : undefined;
}

export function describeVariable(name: VariableName): string {
  const idle = whyIdle(name, "single");
  return `${variables[name].about}${idle === undefined ? "" : ` Without effect ${idle}.`}`;
}
