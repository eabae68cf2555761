// The modes that people install in, one file of values each, and the example with all that it proposes.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect } from "chai";
import { parse } from "yaml";

import { chartDir, example, helms, lint, objectsIn, type Rendered, templateText, type Values } from "../support/chart.ts";

const ci = join(chartDir, "ci");
const read = (path: string) => readFileSync(path, "utf8");
/** A line that is switched off begins with # and no space; prose has one. */
const switchedOn = (text: string) => text.replaceAll(/^(\s*)#(?! \S)/gm, "$1");

const cases: readonly (readonly [name: string, text: string])[] = [
  ...readdirSync(ci).map((name) => [name, read(join(ci, name))] as const),
  ["values.example.yaml", read(example)],
  ["values.example.yaml with everything switched on", switchedOn(read(example))],
];

/** The objects that the runtime is promised, whatever else is said. */
function expectTheRules({ all, one }: Rendered): void {
  expect(one("Deployment")["spec"]).not.to.have.property("replicas");
  expect(all.filter(({ kind, spec }) => kind === "Lease" && spec !== undefined)).to.deep.equal([]);
  expect(all.map(({ kind }) => kind)).not.to.include("Namespace");
  const selector = one("Deployment")["spec"].selector.matchLabels as object;
  expect(one("Deployment")["spec"].template.metadata.labels).to.include(selector);
}

for (const helm of helms)
  for (const [name, text] of cases)
    describe(`chart with ${name} by ${helm.name}`, () => {
      const values = parse(text) as Values;

      it("passes the linter", () => expect(lint(helm, values)).to.deep.equal({ status: 0, faults: [] }));

      it("gives the same bytes each time", () => {
        const first = templateText(helm, values);
        expect(first).to.include("kind: Deployment\n");
        expect(templateText(helm, values)).to.equal(first);
      });

      it("has no replicas, no Namespace and no more of a Lease than its name", () => expectTheRules(objectsIn(templateText(helm, values))));
    });

describe("chart package", () => {
  for (const helm of helms)
    it(`by ${helm.name} holds what is installed, and not the values of the tests`, () => {
      const dir = mkdtempSync(join(tmpdir(), "chart-"));
      try {
        const { status, stderr } = spawnSync(helm.path, ["package", chartDir, "--destination", dir], { encoding: "utf8" });
        expect(status, stderr).to.equal(0);
        const { stdout } = spawnSync("tar", ["-tzf", join(dir, "runtime-0.1.0.tgz")], { encoding: "utf8" });
        const names = stdout.trim().split("\n");
        expect(names).to.include.members(["runtime/files/fence.sh", "runtime/README.md", "runtime/values.schema.json"]);
        expect(names.filter((name) => name.startsWith("runtime/ci/"))).to.deep.equal([]);
      } finally {
        rmSync(dir, { recursive: true });
      }
    });
});

describe("values.example.yaml", () => {
  it("proposes more than it says, in keys that stand there once", () => {
    const [off, on] = [parse(read(example)), parse(switchedOn(read(example)))] as [Values, Values];
    expect(Object.keys(on)).to.include.members([...Object.keys(off), "dind", "pod", "monitoring", "networkPolicy", "imagePullSecrets"]);
    expect(on["image"]).to.include.keys("registry", "digest").and.to.deep.include(off["image"]);
  });
});
