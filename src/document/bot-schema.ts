import { z } from "zod";
import { formatBytes, NANO_PER_CPU, parseBytes, parseCpus, type QuantityVerdict } from "../core/quantity.ts";
import { must } from "./faults.ts";
import { imageFault } from "./image-reference.ts";

/** The defaults of a bot's document. */
export const DEFAULTS = { memory: "512Mi", pids: 256, restart: "always", stopGraceSeconds: 10, imagePullPolicy: "if-not-present" } as const;
/** Least memory that a bot and its init process start in. */
const MIN_MEMORY_BYTES = 16 * 1024 * 1024;
/** The Engine takes no smaller share of a CPU. */
const MIN_NANO_CPUS = NANO_PER_CPU / 100;
const CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "NET_BIND_SERVICE", "SETGID", "SETUID"] as const;
const RESERVED_ENV: readonly string[] = ["BOT_ID", "BOT_SEGMENT", "BOT_EPOCH", "BOT_CONFIG"];
const RESERVED_LABELS: readonly string[] = ["botrunner.", "com.docker.", "io.docker.", "org.dockerproject."];
/** Linux takes no longer single argument. */
const MAX_ARGUMENT = 128 * 1024 - 1;
const MAX_ENV_BYTES = 64 * 1024;
const EXAMPLE_TIME = "2026-01-31T12:00:00Z";

const runnable = (text: string) => text.isWellFormed() && !text.includes("\0");
const noNul = must("must be well-formed text without NUL characters", "remove the character");

const words = (field: string) =>
  z
    .array(
      z
        .string({ error: must("must be text", "quote it") })
        .max(MAX_ARGUMENT, { error: must(`must have at most ${MAX_ARGUMENT} characters`, "hand large data over in config") })
        .refine(runnable, { error: noNul }),
      { error: must("must be a list of texts", `write ${field}: ["sh", "-c", "..."]`) },
    )
    .max(1000, { error: must("must have at most 1000 items", "hand large data over in config") });

const quantity = (parse: (text: string) => QuantityVerdict, least: number, leastText: string, field: string, example: string) =>
  z.union([z.string(), z.number()], { error: must("must be a quantity", `write ${field}: ${example}`) }).superRefine((given, context) => {
    const verdict = parse(String(given));
    const wrong = !verdict.ok ? verdict.reason : verdict.value < least ? `must be at least ${leastText}` : undefined;
    if (wrong !== undefined) context.addIssue({ code: "custom", message: must(wrong, `write ${field}: ${example}`) });
  });

const resources = z.object(
  {
    memory: quantity(parseBytes, MIN_MEMORY_BYTES, formatBytes(MIN_MEMORY_BYTES), "memory", `"${DEFAULTS.memory}"`)
      .optional()
      .meta({
        default: DEFAULTS.memory,
        description: `Memory limit, a Kubernetes quantity; no swap. At least ${formatBytes(MIN_MEMORY_BYTES)}.`,
      }),
    cpu: quantity(parseCpus, MIN_NANO_CPUS, "10m", "cpu", '"250m" or "1.5"')
      .optional()
      .meta({ description: "CPU limit, a Kubernetes quantity; absent: no limit. At least 10m." }),
    pids: z
      .int({ error: must("must be a whole number", `write pids: ${DEFAULTS.pids}`) })
      .min(4, { error: must("must be at least 4", `write pids: ${DEFAULTS.pids}`) })
      .max(32_768, { error: must("must be at most 32768", `write pids: ${DEFAULTS.pids}`) })
      .optional()
      .meta({ default: DEFAULTS.pids, description: "Most processes and threads at a time." }),
  },
  { error: must("must be an object", 'write resources: { memory: "512Mi" }') },
);

const security = z.object(
  {
    readOnlyRootFilesystem: z
      .boolean({ error: must("must be true or false", "write readOnlyRootFilesystem: true") })
      .optional()
      .meta({ default: false, description: "Mount the image's file system read-only; /tmp stays writable." }),
    user: z
      .union([z.string(), z.int().min(0)], { error: must("must be a user id or a name", 'write user: "1000:1000"') })
      .refine((user) => typeof user === "number" || /^[A-Za-z0-9_][\w.-]{0,63}(:[A-Za-z0-9_][\w.-]{0,63})?$/.test(user), {
        error: must("must be uid, uid:gid or names from the image", 'write user: "1000:1000"'),
      })
      .optional()
      .meta({ description: "User (and group) that the bot runs as; absent: as the image says." }),
    capabilities: z
      .array(
        z.enum(CAPABILITIES, {
          error: must(`must be one of ${CAPABILITIES.join(", ")}`, "leave it away; other capabilities are not given to bots"),
        }),
        { error: must("must be a list", "write capabilities: [NET_BIND_SERVICE]") },
      )
      .optional()
      .meta({ default: [], description: "Linux capabilities that are added; all others are dropped." }),
  },
  { error: must("must be an object", "write security: { readOnlyRootFilesystem: true }") },
);

const environment = z
  .record(
    z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, {
        error: must("must have a name of letters, digits and _ that starts with no digit", "rename the variable"),
      })
      .max(256, { error: must("must have a name of at most 256 characters", "rename the variable") })
      .refine((name) => !RESERVED_ENV.includes(name), { error: must("is a name that the runtime sets itself", "rename the variable") }),
    z
      .string({
        error: (issue) =>
          typeof issue.input === "object" && issue.input !== null
            ? must("secrets are not supported yet by this version, it must be text", "write the value itself")
            : must("must be text", 'quote it, as in PORT: "8080"'),
      })
      .refine(runnable, { error: noNul }),
    { error: must("must be an object", 'write env: { PORT: "8080" }') },
  )
  .refine((env) => Object.entries(env).reduce((sum, [k, v]) => sum + Buffer.byteLength(k) + Buffer.byteLength(v) + 2, 0) <= MAX_ENV_BYTES, {
    error: must("must have at most 64 KiB in all", "hand large data over in config"),
  });

const labels = z
  .record(
    z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/, {
        error: must("must have a key of letters, digits, ., _, / and - (at most 128)", "rename the label"),
      })
      .refine((key) => !RESERVED_LABELS.some((prefix) => key.startsWith(prefix)), {
        error: must("has a prefix that is not yours", "rename the label"),
      }),
    z
      .string({ error: must("must be text", "quote it") })
      .max(4096, { error: must("must have at most 4096 characters", "shorten it") })
      .refine(runnable, { error: noNul }),
    { error: must("must be an object", "write labels: { team: trading }") },
  )
  .refine((all) => Object.keys(all).length <= 100, { error: must("must have at most 100 entries", "remove some") });

/** One bot's document as users write it. The JSON Schema in docs/ is generated from here. */
export const botSchema = z.object({
  enabled: z
    .boolean({ error: must("must be true or false", "write enabled: true without quotes") })
    .optional()
    .meta({ default: true, description: "Whether the bot should run." }),
  image: z
    .string({ error: must("must be an image's name", "write image: nginx:1.27") })
    .superRefine((image, context) => {
      const wrong = imageFault(image);
      if (wrong !== undefined) context.addIssue({ code: "custom", message: must(wrong, "write image: name:tag, such as nginx:1.27") });
    })
    .meta({ description: "Image to run: name, name:tag or name@sha256:digest. Pulled as imagePullPolicy says." }),
  imagePullPolicy: z
    .enum(["always", "if-not-present", "never"], {
      error: must("must be always, if-not-present or never", `write imagePullPolicy: ${DEFAULTS.imagePullPolicy}`),
    })
    .optional()
    .meta({
      default: DEFAULTS.imagePullPolicy,
      description: "Before each start: always ask the registry; only if the machine has no such image; never.",
    }),
  command: words("command")
    .refine((list) => list[0] !== "", { error: must("must not start with an empty text", "name the program first") })
    .optional()
    .meta({ description: "Replaces the image's ENTRYPOINT." }),
  args: words("args").optional().meta({ description: "Replaces the image's CMD." }),
  env: environment.optional().meta({
    default: {},
    description: `Environment variables, text only, 64 KiB in all. The runtime sets ${RESERVED_ENV.join(", ")} itself.`,
  }),
  config: z
    .unknown()
    .optional()
    .meta({ description: "Any JSON up to 1 MiB: the read-only file /etc/bot/config.json and, when small, the variable BOT_CONFIG." }),
  resources: resources.optional().meta({ description: "Limits." }),
  restart: z
    .enum(["always", "on-failure", "never"], { error: must("must be always, on-failure or never", "write restart: always") })
    .optional()
    .meta({ default: DEFAULTS.restart, description: "What follows an exit: always another run; only after a failure; none." }),
  stopGraceSeconds: z
    .int({ error: must("must be a whole number of seconds", `write stopGraceSeconds: ${DEFAULTS.stopGraceSeconds}`) })
    .min(0, { error: must("must not be negative", `write stopGraceSeconds: ${DEFAULTS.stopGraceSeconds}`) })
    .max(3600, { error: must("must be at most 3600", `write stopGraceSeconds: ${DEFAULTS.stopGraceSeconds}`) })
    .optional()
    .meta({ default: DEFAULTS.stopGraceSeconds, description: "Seconds between SIGTERM and SIGKILL; at most MAX_STOP_GRACE_SECONDS." }),
  labels: labels.optional().meta({ default: {}, description: "Labels of the container." }),
  security: security.optional().meta({ description: "What the container may do." }),
  restartedAt: z
    .string({ error: must("must be a time", `write restartedAt: "${EXAMPLE_TIME}"`) })
    .refine((text) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/.test(text) && !Number.isNaN(Date.parse(text)), {
      error: must("must be a time in ISO 8601 with its zone", `write restartedAt: "${EXAMPLE_TIME}"`),
    })
    .optional()
    .meta({
      format: "date-time",
      description: "Another time is a restart; `runtime bots restart` writes it. A date of MongoDB will do as well.",
    }),
});

export type WrittenBot = z.infer<typeof botSchema>;
