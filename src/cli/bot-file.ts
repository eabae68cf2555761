import { LineCounter, parseAllDocuments } from "yaml";
import type { FoundDocument } from "../core/bot.ts";
import type { RawId } from "../core/ids.ts";

/** One bot of a file: where it stands there, and what it says. */
type FileBot = { readonly where: string; readonly found: FoundDocument };
export type BotFile = { readonly bots: readonly FileBot[]; readonly faults: readonly string[] };

/** Reads YAML (one or many documents) or JSON; a list counts as its items. Validates nothing but the syntax.
 *  The values of a file never stand in a fault: secrets may be among them. */
export function readBotFile(name: string, text: string): BotFile {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text.replace(/^\ufeff/, ""), {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: true,
    merge: true,
  });
  const bots: FileBot[] = [];
  const faults: string[] = [];
  for (const [i, document] of [...documents].entries()) {
    const where = `${name}: document ${i + 1}`;
    // A tag that nobody knows changes what a value is: as good as an error.
    const problems = [...document.errors, ...document.warnings];
    for (const { message, pos } of problems) faults.push(`${where}, line ${lines.linePos(pos[0]).line}: ${message}: correct the YAML`);
    if (problems.length > 0) continue;
    try {
      bots.push(...items(document.toJS({ maxAliasCount: 100 }) as unknown, where, faults));
    } catch (error) {
      faults.push(`${where}: ${error instanceof Error ? error.message : "cannot be read"}: write it without aliases`);
    }
  }
  if (bots.length === 0 && faults.length === 0) faults.push(`${name}: has no bot in it: write at least one document`);
  return { bots, faults };
}

function items(value: unknown, where: string, faults: string[]): FileBot[] {
  if (value === null || value === undefined) return []; // nothing between two `---`
  if (Array.isArray(value)) return value.flatMap((item: unknown, i) => one(item, `${where}, item ${i + 1}`, faults));
  return one(value, where, faults);
}

function one(value: unknown, where: string, faults: string[]): FileBot[] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    faults.push(`${where}: must be an object with the fields of a bot: write _id and image`);
    return [];
  }
  const document = value as Record<string, unknown>;
  if (!Object.hasOwn(document, "_id") || document._id === null) {
    faults.push(`${where}: _id: is missing, got nothing: give the bot a name, such as _id: my-bot`);
    return [];
  }
  return [{ where, found: { raw: rawIdOf(document._id), document } }];
}

/** `{ $oid: "..." }` is how JSON tools of MongoDB write an ObjectId. */
function rawIdOf(id: unknown): RawId {
  if (typeof id === "string") return { kind: "string", value: id };
  const hex: unknown = typeof id === "object" && id !== null && Object.keys(id).length === 1 ? (id as { $oid?: unknown }).$oid : undefined;
  if (typeof hex === "string" && /^[0-9a-fA-F]{24}$/.test(hex)) return { kind: "objectId", hex: hex.toLowerCase() };
  return {
    kind: "other",
    text: typeof id === "number" || typeof id === "boolean" ? `the ${typeof id} ${id}` : Array.isArray(id) ? "a list" : "an object",
  };
}
