import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { parse } from "yaml";
import { readPages, root } from "../../support/markdown.ts";

type Values = { readonly [key: string]: unknown };
const values = parse(readFileSync(join(root, "chart", "values.yaml"), "utf8")) as Values;
const OWNED = ["control", "placements", "segments", "workers", "fleet", "status", "runs"].map((name) => `runtime.${name}`);
const FILES = /\.(yaml|json|ts|md|js|sh)$/;

/** The chart's values that a page names in code: `dind.mtu`, also with what is set, `dind.mtu: 1450`. */
function valuesIn(code: readonly string[]): string[] {
  return code.flatMap((span) => {
    const [, name = ""] = /^([a-zA-Z]+(?:\.[a-zA-Z]+)+)(?::.*)?$/s.exec(span) ?? [];
    const [first = ""] = name.split(".");
    return first in values && !OWNED.includes(name) && !FILES.test(name) ? [name] : [];
  });
}

/** Whether the chart has it. What stands below a default of null or {} is the user's own, and resources are Kubernetes'. */
function isThere(name: string): boolean {
  let at: unknown = values;
  for (const key of name.split(".")) {
    if (at === null || (typeof at === "object" && Object.keys(at).length === 0)) return true;
    if (typeof at !== "object" || !(key in at)) return false;
    if (key === "resources") return true;
    at = (at as Values)[key];
  }
  return true;
}

describe("values of the chart that the docs name", () => {
  it("are found, and told from collections and files", () => {
    expect(valuesIn(["dind.mtu", "pod.annotations: { a: b }", "runtime.status", "bots.yaml", "other.thing"])).to.deep.equal([
      "dind.mtu",
      "pod.annotations",
    ]);
    expect(["dind.mtu", "dind.resources.limits", "dind.nothing", "bots.maxSegments"].map(isThere)).to.deep.equal([
      true,
      true,
      false,
      false,
    ]);
  });

  for (const { path, code } of readPages().filter((page) => page.path === "README.md" || page.path.startsWith("docs/")))
    it(`are there: ${path}`, () => {
      expect(valuesIn(code).filter((name) => !isThere(name))).to.deep.equal([]);
    });
});
