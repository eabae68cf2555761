// docs/faults.md has two parts, and each of two rigs writes its own.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

export const faultsPage = join(import.meta.dirname, "..", "..", "docs", "faults.md");

const MARK = "<!-- from here on: npm run faults:cluster -->\n";

/** Puts the text in place of that part, and leaves the other as it is. */
export function withPart(page: string, part: "processes" | "cluster", text: string): string {
  const at = page.indexOf(MARK);
  const [processes, cluster] = at < 0 ? [page, undefined] : [page.slice(0, at), page.slice(at + MARK.length)];
  if (part === "cluster") return `${processes.trimEnd()}\n\n${MARK}\n${text.trim()}\n`;
  return cluster === undefined ? text : `${text.trimEnd()}\n\n${MARK}${cluster}`;
}

export async function writePart(path: string, part: "processes" | "cluster", text: string): Promise<void> {
  const page = await readFile(path, "utf8").catch(() => "");
  await writeFile(path, withPart(page, part, text));
}
