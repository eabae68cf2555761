import { readFileSync } from "node:fs";

/** One command of the operator's guide, as docs/guide-commands.md has it. */
export type GuideCommand = {
  readonly guide: string;
  /** What runs: the guide's own words, or what stands for them. */
  readonly command: string;
  readonly why: string;
  readonly tested: string;
  readonly shows: RegExp | undefined;
};

export const readGuideCommands = (): GuideCommand[] =>
  parseGuideCommands(readFileSync(new URL("../../docs/guide-commands.md", import.meta.url), "utf8"));

/** The rows of the table. @throws {Error} naming a row that cannot be read */
export function parseGuideCommands(text: string): GuideCommand[] {
  const rows = text.split("\n").filter((line) => line.startsWith("| `"));
  return rows.map((row) => {
    const cells = row.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll(String.raw`\|`, "|"));
    const [, guide = "", instead = "", why = "", tested = "", shows = "", end] = cells;
    const isTested = tested === "yes" || tested === "stream";
    if (end === undefined || tested === "" || (instead !== "" && why === "") || isTested !== (shows !== ""))
      throw new Error(`Cannot read the row ${row}`);
    return {
      guide: bare(guide),
      command: bare(instead === "" ? guide : instead),
      why,
      tested,
      shows: shows === "" ? undefined : new RegExp(bare(shows), "m"),
    };
  });
}

const bare = (cell: string): string => cell.replace(/^`(.*)`$/, "$1");
