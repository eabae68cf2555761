import { readFileSync } from "node:fs";
import { expect } from "chai";
import { EXIT_MEANINGS } from "../../../src/cli/exit-codes.ts";
import { botJsonSchema } from "../../../src/document/json-schema.ts";

const docs = (name: string) => readFileSync(new URL(`../../../docs/${name}`, import.meta.url), "utf8");
type Node = { readonly properties?: Readonly<Record<string, Node>>; readonly default?: unknown };

describe("docs/bots.md", () => {
  const text = docs("bots.md");
  const fields = (node: Node, prefix = ""): [string, Node][] =>
    Object.entries(node.properties ?? {}).flatMap(([key, inner]) =>
      inner.properties === undefined ? [[`${prefix}${key}`, inner] as [string, Node]] : fields(inner, `${prefix}${key}.`),
    );
  for (const [field, { default: fallback }] of fields(botJsonSchema())) {
    it(`explains ${field} and its default`, () => {
      const [, , shown] = (text.split("\n").find((line) => line.startsWith(`| \`${field}\` |`)) ?? "").split("|");
      expect(shown?.trim()).to.include(
        fallback === undefined ? "" : `\`${typeof fallback === "string" ? fallback : JSON.stringify(fallback)}\``,
      );
    });
  }
});

describe("docs/cli.md", () => {
  for (const [code, meaning] of EXIT_MEANINGS)
    it(`explains exit code ${code}`, () => expect(docs("cli.md")).to.include(`| ${code} | ${meaning} |`));
});
