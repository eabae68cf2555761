import { hash } from "node:crypto";
import type { BotSpec } from "../core/bot.ts";
import type { SpecHash } from "../core/ids.ts";

/** JSON with sorted keys and without absent fields: equal values give equal text. Takes snapshots only, so it is not deep. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value).filter(([, v]) => v !== undefined);
  return `{${entries
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([k, v]) => `${JSON.stringify(k)}:${canonicalJson(v)}`)
    .join(",")}}`;
}

/** Two documents with the same hash need no restart between them. */
export function hashSpec(spec: BotSpec): SpecHash {
  return hash("sha256", canonicalJson(spec)) as SpecHash;
}
