import { Foreign } from "./snapshot.ts";

/** Between what is wrong and how to fix it, in the message of a schema's check. */
const BREAK = "\u0000";
const MAX_FAULTS = 30;

/** The message of a check: what must be, and what to do. */
export function must(be: string, fix: string): string {
  return `${be}${BREAK}${fix}`;
}

/** One fault as one sentence: `field.path: what is wrong, got <short value>: fix`. */
export function faultLine(path: readonly PropertyKey[], message: string, got: string): string {
  const [wrong, fix] = message.split(BREAK, 2);
  return `${pathText(path)}: ${wrong}, got ${got}${fix === undefined ? "" : `: ${fix}`}`;
}

/** `env.PORT`, `args[2]`, `labels."a b"`. */
function pathText(path: readonly PropertyKey[]): string {
  if (path.length === 0) return "document";
  const shown = path.slice(0, 6).map((key, i) => (typeof key === "number" ? `[${key}]` : `${i === 0 ? "" : "."}${keyText(String(key))}`));
  return `${shown.join("")}${path.length > 6 ? "..." : ""}`;
}

export function keyText(key: string): string {
  return /^[\w-]{1,60}$/.test(key) ? key : quoted(key);
}

const SECRET_FIELDS: readonly string[] = ["env", "config", "command", "args", "schedule", "timezone", "secrets"];

/** A value in a few characters. Where secrets may stand, only its kind. */
export function gotText(path: readonly PropertyKey[], value: unknown): string {
  const secret = SECRET_FIELDS.includes(String(path[0]));
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (value instanceof Foreign) return value.kind;
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  if (secret) return typeof value === "string" ? `a text of ${value.length} characters` : `a ${typeof value}`;
  return typeof value === "string" ? quoted(value) : `${value as number | boolean}`;
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}...` : text);
}

/** At most a screenful: one wrong document must not flood logs and status. */
export function bounded(lines: readonly string[]): string[] {
  const unique = [...new Set(lines)];
  return unique.length <= MAX_FAULTS
    ? unique
    : [...unique.slice(0, MAX_FAULTS), `document: has ${unique.length - MAX_FAULTS} more faults: correct these first`];
}
