import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { type Page, parsePage, readPages, root, targetOf } from "../../support/markdown.ts";

const pages = readPages();

/** The links of a page that lead to no file, or to no heading of it. */
function brokenLinks(page: Page, all: readonly Page[], isThere: (path: string) => boolean): string[] {
  return page.links.filter((link) => {
    const target = targetOf(page, link);
    if (target === undefined) return false;
    if (!isThere(target.path)) return true;
    return target.anchor !== undefined && all.find(({ path }) => path === target.path)?.anchors.has(target.anchor) !== true;
  });
}

describe("links between pages", () => {
  it("are found in all pages that people read", () => {
    const paths = pages.map(({ path }) => path);
    expect(paths).to.include.members(["README.md", "ARCHITECTURE.md", "docs/kubernetes.md", "examples/README.md"]);
  });

  for (const page of pages)
    it(`of ${page.path} lead somewhere`, () => {
      expect(brokenLinks(page, pages, (path) => existsSync(join(root, path)))).to.deep.equal([]);
    });

  it("of the README reach every page of docs/", () => {
    const readme = pages.find(({ path }) => path === "README.md");
    const reached = readme?.links.map((link) => targetOf(readme, link)?.path);
    for (const { path } of pages.filter((page) => page.path.startsWith("docs/"))) expect(reached).to.include(path);
  });
});

describe("a link", () => {
  const other = parsePage("docs/other.md", "# A `heading`: with marks, and *more*\n\n## Twice\n\n## Twice\n");
  const cases = [
    { why: "a file that is there", text: "[a](other.md)", broken: [] },
    { why: "a file above", text: "[a](../README.md)", broken: [] },
    { why: "a heading by its anchor", text: "[a](other.md#a-heading-with-marks-and-more)", broken: [] },
    { why: "the second heading of a name", text: "[a](other.md#twice-1)", broken: [] },
    { why: "a heading of its own page", text: "# Here\n\n[a](#here)", broken: [] },
    { why: "another site", text: "[a](https://example.com/nowhere#x)", broken: [] },
    { why: "nothing, as it is code", text: "`[a](nowhere.md)`\n\n```md\n[a](nowhere.md)\n```\n", broken: [] },
    { why: "a file that is not there", text: "[a](nowhere.md)", broken: ["nowhere.md"] },
    { why: "a file by a path from another directory", text: "[a](docs/other.md)", broken: ["docs/other.md"] },
    { why: "no heading of another page", text: "[a](other.md#none)", broken: ["other.md#none"] },
    { why: "no heading of its own page", text: "[a](#none)", broken: ["#none"] },
    { why: "an image that is not there", text: "![a](a.png)", broken: ["a.png"] },
    { why: "a file that is not there, in a table", text: "| a |\n|---|\n| [a](nowhere.md) |\n", broken: ["nowhere.md"] },
  ];
  for (const { why, text, broken } of cases)
    it(`to ${why} ${broken.length === 0 ? "is fine" : "is found"}`, () => {
      const page = parsePage("docs/page.md", text);
      const there = ["README.md", "docs/page.md", "docs/other.md"];
      expect(brokenLinks(page, [page, other], (path) => there.includes(path))).to.deep.equal(broken);
    });
});
