import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";

import GithubSlugger from "github-slugger";
import { lexer, type Token, walkTokens } from "marked";

export const root = join(import.meta.dirname, "..", "..");

/** A page of the tree, as its readers see it: code is no text, and what is commented out is not there. */
export type Page = {
  /** Its path from the root. */
  readonly path: string;
  /** What its links name, images' sources too, as they are written. */
  readonly links: readonly string[];
  /** The anchors of its headings. */
  readonly anchors: ReadonlySet<string>;
  /** The text of its code spans; blocks of code are not among them. */
  readonly code: readonly string[];
  /** The cells of its tables, a list a row, headers included. */
  readonly rows: readonly (readonly string[])[];
};

/** All pages that people read: those beside the sources and in directories that hold some; nothing that is installed or made. */
export function readPages(): Page[] {
  const folders = ["", "docs", "examples", "chart", "test"];
  return folders
    .flatMap((folder) => readdirSync(join(root, folder)).map((name) => join(folder, name)))
    .filter((path) => path.endsWith(".md"))
    .map((path) => parsePage(path, readFileSync(join(root, path), "utf8")));
}

export function parsePage(path: string, text: string): Page {
  const [links, code, rows]: [string[], string[], string[][]] = [[], [], []];
  const anchors = new Set<string>();
  const slugger = new GithubSlugger();
  void walkTokens(lexer(text), (token: Token) => {
    if (token.type === "link" || token.type === "image") links.push(token["href"] as string);
    else if (token.type === "codespan") code.push(token["text"] as string);
    else if (token.type === "heading") anchors.add(slugger.slug(plain(token)));
    else if (token.type === "table") {
      const cells = (row: readonly { readonly text: string }[]) => row.map((cell) => cell.text);
      rows.push(cells(token["header"]), ...(token["rows"] as { readonly text: string }[][]).map(cells));
    }
  });
  return { path, links, anchors, code, rows };
}

/** What a heading says without its marks. */
function plain(token: Token): string {
  const inner = (token as { readonly tokens?: readonly Token[] }).tokens;
  return inner === undefined ? ((token as { readonly text?: string }).text ?? "") : inner.map(plain).join("");
}

/** Where a relative link leads: the file's path from the root, and the anchor in it. Links to elsewhere lead nowhere here. */
export function targetOf(page: Page, link: string): { readonly path: string; readonly anchor: string | undefined } | undefined {
  if (/^[a-z][a-z+.-]*:/i.test(link)) return undefined;
  const [path = "", anchor] = link.split("#");
  const from = join(root, page.path);
  return { path: relative(root, path === "" ? from : join(from, "..", decodeURI(path))), anchor };
}
