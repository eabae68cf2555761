import { createHash } from "node:crypto";
import type { BotReading, FoundDocument } from "../core/bot.ts";
import { botIdOf, type RawId, type SpecHash } from "../core/ids.ts";
import { botSchema } from "./bot-schema.ts";
import { canonicalJson, hashSpec } from "./canonical.ts";
import { bounded, faultLine, gotText, must } from "./faults.ts";
import type { BotReader } from "./pick-reading.ts";
import { takeSnapshot, type Snapshot } from "./snapshot.ts";
import { toSpec } from "./to-spec.ts";
import { NOT_YET, unknownFields } from "./unknown-fields.ts";

const MAX_CONFIG_BYTES = 1024 * 1024;
const known = [...Object.keys(botSchema.shape), ...NOT_YET];

/** Gives the one reader of bot documents. It is total: whatever stands in a document, it returns a verdict.
 *  `twin`: the document's string `_id` spells an ObjectId that is a bot already. */
export function createBotReader({ maxStopGraceSeconds }: { readonly maxStopGraceSeconds: number }): BotReader {
  return (found, twin = false) => {
    try {
      return read(found, twin, maxStopGraceSeconds);
    } catch {
      return {
        kind: "invalid",
        document: "unreadable",
        faults: ["document: cannot be read, got something that is no document: insert the bot again"],
      };
    }
  };
}

function read({ raw, document }: FoundDocument, twin: boolean, maxStopGraceSeconds: number): BotReading {
  const name = documentName(raw);
  const verdict = botIdOf(raw);
  // A twin cannot name a bot: its name is taken.
  if (twin)
    return {
      kind: "invalid",
      document: name,
      faults: [`_id: must not be the string twin of an ObjectId, got ${JSON.stringify(name)} as text: delete one of the two documents`],
    };

  const faults = verdict.ok ? [] : [verdict.reason];
  const snapshots = takeFields(document);
  if (snapshots === undefined) faults.push(faultLine([], must("must be an object", "insert the bot again"), "something else"));
  const written = Object.fromEntries([...(snapshots ?? [])].map(([key, { value }]) => [key, value]));
  faults.push(...notYet(written), ...configFaults(snapshots?.get("config")), ...protoFaults(written));
  const { data, error } = botSchema.safeParse(written);
  for (const issue of error?.issues ?? []) faults.push(...issueFaults(issue, written));
  if ((data?.stopGraceSeconds ?? 0) > maxStopGraceSeconds)
    faults.push(
      faultLine(
        ["stopGraceSeconds"],
        must(`must be at most MAX_STOP_GRACE_SECONDS (${maxStopGraceSeconds})`, "lower it, or ask the operator to raise the limit"),
        String(data?.stopGraceSeconds),
      ),
    );

  if (faults.length > 0 || data === undefined || !verdict.ok)
    return { kind: "invalid", ...(verdict.ok ? { id: verdict.id } : {}), document: name, faults: bounded(faults) };
  const spec = toSpec(data);
  let hash: SpecHash | undefined;
  return {
    kind: "valid",
    id: verdict.id,
    enabled: data.enabled ?? true,
    spec,
    // A third of the cost of a reading, and who admits a new or a disabled bot does not ask for it.
    get hash() {
      return (hash ??= hashSpec(spec));
    },
    warnings: unknownFields(shallow(document)),
  };
}

/** Copies the fields we know, and those alone: an unknown field may be of any size. `null` says the same as absence,
 *  except as a config. */
function takeFields(document: unknown): Map<string, Snapshot> | undefined {
  if (typeof document !== "object" || document === null || Array.isArray(document)) return undefined;
  const fields = new Map<string, Snapshot>();
  for (const key of known) {
    const snapshot = snapshotOf(document as Record<string, unknown>, key);
    if (snapshot !== undefined && (snapshot.value !== null || key === "config"))
      fields.set(key, key === "resources" || key === "security" ? withoutNulls(snapshot) : snapshot);
  }
  return fields;
}

function snapshotOf(document: Readonly<Record<string, unknown>>, key: string): Snapshot | undefined {
  try {
    if (!Object.hasOwn(document, key)) return undefined;
    const value = document[key];
    // `$currentDate` and `new Date()` in a shell write a date where we write text: no reason to stop a bot.
    if (key === "restartedAt" && value instanceof Date && !Number.isNaN(value.getTime())) return takeSnapshot(value.toISOString());
    return value === undefined ? undefined : takeSnapshot(value);
  } catch {
    return takeSnapshot(() => key); // a getter that throws: as foreign as a function
  }
}

function withoutNulls(snapshot: Snapshot): Snapshot {
  const { value } = snapshot;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return snapshot;
  return {
    ...snapshot,
    value: Object.getPrototypeOf(value) === null ? Object.fromEntries(Object.entries(value).filter(([, v]) => v !== null)) : value,
  };
}

function notYet(written: Readonly<Record<string, unknown>>): string[] {
  return NOT_YET.filter((field) => Object.hasOwn(written, field)).map((field) =>
    faultLine(
      [field],
      must(
        "is not supported yet by this version",
        field === "secrets" ? "remove it and hand the values over in env or config" : "remove it, or run the bot without a schedule",
      ),
      gotText([field], written[field]),
    ),
  );
}

/** The schema library leaves this key out in silence. */
function protoFaults(written: Readonly<Record<string, unknown>>): string[] {
  return ["env", "labels"]
    .filter((field) => hasProto(written[field]))
    .map((field) => faultLine([field, "__proto__"], must("is a name that cannot be used", "choose another one"), "this name"));
}

function hasProto(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.hasOwn(value, "__proto__");
}

function configFaults(config: Snapshot | undefined): string[] {
  if (config === undefined) return [];
  const faults = config.foreign.map(({ path, kind }) =>
    faultLine(["config", ...path], must("must be JSON", "write it as text or a number"), kind),
  );
  if (faults.length > 0) return faults;
  const bytes = Buffer.byteLength(canonicalJson(config.value));
  return bytes <= MAX_CONFIG_BYTES
    ? []
    : [
        faultLine(
          ["config"],
          must(`must be at most ${MAX_CONFIG_BYTES} bytes as JSON`, "let the bot fetch large data itself"),
          `${bytes} bytes`,
        ),
      ];
}

type Issue = NonNullable<ReturnType<typeof botSchema.safeParse>["error"]>["issues"][number];

function issueFaults(issue: Issue, written: unknown): string[] {
  // A record reports a bad key as one issue that holds the key's own issues.
  if (issue.code === "invalid_key") return issue.issues.map((inner) => faultLine(issue.path, inner.message, "this name"));
  let value = written;
  for (const key of issue.path)
    value = typeof value === "object" && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined;
  return [faultLine(issue.path, issue.message, gotText(issue.path, value))];
}

/** Only the keys matter to `unknownFields`, and one level below. */
function shallow(document: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const inner = (key: string) => snapshotOf(document, key)?.value;
  return {
    ...Object.fromEntries(Object.keys(document).map((key) => [key, true])),
    resources: inner("resources"),
    security: inner("security"),
  };
}

/** Which document it is, for people and for `runtime.status`: bounded, and still one of a kind. */
function documentName(raw: RawId): string {
  const text = raw.kind === "string" ? raw.value : raw.kind === "objectId" ? raw.hex : raw.text;
  return text.length <= 200 ? text : `${text.slice(0, 180)}...${createHash("sha256").update(text).digest("hex").slice(0, 12)}`;
}
