import type { BotId, RawId, SpecHash } from "./ids.ts";

export type RestartPolicy = "always" | "on-failure" | "never";

/** When to ask the registry. Absent in a spec: `if-not-present`. */
export type ImagePullPolicy = "always" | "if-not-present" | "never";

/** A bot's document after validation: every default filled in, every quantity a plain number. */
export type BotSpec = {
  readonly image: string;
  /** Absent: `if-not-present`, so that the hash of a bot that does not say it is what it was before there was a choice. */
  readonly imagePullPolicy?: Exclude<ImagePullPolicy, "if-not-present">;
  /** Replaces the image's ENTRYPOINT. */
  readonly command?: readonly string[];
  /** Replaces the image's CMD. */
  readonly args?: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Any JSON: handed over as the read-only file /etc/bot/config.json and, when small, as BOT_CONFIG. */
  readonly config?: unknown;
  readonly resources: {
    readonly memoryBytes: number;
    /** Billionths of a CPU; absent = no limit. */
    readonly nanoCpus?: number;
    readonly pids: number;
  };
  readonly restart: RestartPolicy;
  readonly stopGraceSeconds: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly security: {
    readonly readOnlyRootFilesystem: boolean;
    /** `uid`, `uid:gid` or names from the image; absent = as the image says. */
    readonly user?: string;
    readonly capabilities: readonly string[];
  };
  /** When its user last asked for a new container, as ISO time in UTC: another value is another spec, hence a restart. */
  readonly restartedAt?: string;
};

/** One document of the user's collection as it was found; nothing about it is known to be right. */
export type FoundDocument = { readonly raw: RawId; readonly document: Readonly<Record<string, unknown>> };

/** What a document says, once read. Reading never throws: a malformed document is a verdict like any other. */
export type BotReading =
  | {
      readonly kind: "valid";
      readonly id: BotId;
      readonly enabled: boolean;
      readonly spec: BotSpec;
      readonly hash: SpecHash;
      /** Unknown fields and the like: the bot runs, the user is told. */
      readonly warnings: readonly string[];
    }
  | {
      readonly kind: "invalid";
      /** Absent when `_id` itself cannot name a bot; then `document` says which one it is. */
      readonly id?: BotId;
      readonly document: string;
      /** One sentence each: field, fault, fix. */
      readonly faults: readonly string[];
    };

/** How one run of a bot ended, as the Engine's inspect tells it. */
export type Exit = {
  readonly code: number;
  /** `oom`: the Engine's flag, which is set for any process of the container. `likely-oom`: no flag, but the bot was killed
   *  by a SIGKILL that was not ours after the kernel had killed a process of it at its memory limit. */
  readonly oom: "no" | "oom" | "likely-oom";
  readonly startedAt: Date | undefined;
  readonly finishedAt: Date | undefined;
  /** Nobody saw it end: the Engine found it dead when it came up, and calls that exit code 255. */
  readonly withEngine?: true;
  /** The Engine's own complaint, such as an entrypoint that does not exist. */
  readonly error: string;
};

export type BotState = "pending" | "starting" | "running" | "backoff" | "stopping" | "stopped" | "completed" | "failed" | "invalid";

export const BOT_STATES: readonly BotState[] = [
  "pending",
  "starting",
  "running",
  "backoff",
  "stopping",
  "stopped",
  "completed",
  "failed",
  "invalid",
];
