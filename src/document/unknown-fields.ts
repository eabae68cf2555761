import { botSchema } from "./bot-schema.ts";
import { keyText } from "./faults.ts";
import { nearest } from "./nearest.ts";

const parts = { resources: botSchema.shape.resources.unwrap(), security: botSchema.shape.security.unwrap() };
/** Fields that later versions will know: a fault of their own, so not unknown. */
export const NOT_YET: readonly string[] = ["schedule", "timezone", "secrets"];
const topFields = ["_id", ...Object.keys(botSchema.shape), ...NOT_YET];

/** What people write who come from Compose, Kubernetes or the docker command. */
const elsewhere: Readonly<Record<string, string>> = {
  id: "_id",
  name: "_id",
  cmd: "args",
  entrypoint: "command",
  environment: "env",
  memory: "resources.memory",
  mem_limit: "resources.memory",
  cpu: "resources.cpu",
  cpus: "resources.cpu",
  pids: "resources.pids",
  limits: "resources",
  requests: "resources",
  pull_policy: "imagePullPolicy",
  restartPolicy: "restart",
  restart_policy: "restart",
  stop_grace_period: "stopGraceSeconds",
  terminationGracePeriodSeconds: "stopGraceSeconds",
  user: "security.user",
  runAsUser: "security.user",
  capabilities: "security.capabilities",
  cap_add: "security.capabilities",
  readOnlyRootFilesystem: "security.readOnlyRootFilesystem",
  read_only: "security.readOnlyRootFilesystem",
  securityContext: "security",
};

/** One sentence for each field that nobody reads. */
export function unknownFields(document: Readonly<Record<string, unknown>>): string[] {
  const warnings = Object.keys(document).flatMap((key) => warn("", key, topFields));
  for (const [part, schema] of Object.entries(parts)) {
    const inner = document[part];
    if (typeof inner === "object" && inner !== null && !Array.isArray(inner))
      warnings.push(...Object.keys(inner).flatMap((key) => warn(`${part}.`, key, Object.keys(schema.shape))));
  }
  return warnings.length <= 20 ? warnings : [...warnings.slice(0, 20), `document: has ${warnings.length - 20} more unknown fields`];
}

function warn(prefix: string, key: string, known: readonly string[]): string[] {
  if (known.includes(key)) return [];
  const other = Object.hasOwn(elsewhere, key) ? elsewhere[key] : undefined;
  const near = nearest(key, known);
  const meant = near === undefined ? other : `${prefix}${near}`;
  return [`${prefix}${keyText(key)}: is not a field and has no effect${meant === undefined ? "" : `: did you mean ${meant}?`}`];
}
