import { readFileSync } from "node:fs";
import { expect } from "chai";
import { publishLines } from "../../../scripts/lib/release/artifacts.ts";
import { checkVersions, type Sources } from "../../../scripts/lib/release/versions.ts";

const tree = (over: Partial<Sources> = {}, version = "1.2.3"): Sources => ({
  packageJson: JSON.stringify({ version }),
  packageLock: JSON.stringify({ version, packages: { "": { version } } }),
  chartYaml: `version: ${version}\nappVersion: ${version}\n`,
  changelog: `# Changelog\n\n## Pending\n\n## ${version} (2026-12-01)\nIt runs.\n\n## 1.2.2\nIt ran.\n`,
  ...over,
});

const cases: readonly { readonly why: string; readonly given: Sources; readonly faults?: string[]; readonly unready?: string[] }[] = [
  { why: "all places name one version", given: tree() },
  { why: "it is a candidate", given: tree({}, "2.0.0-rc.1") },
  {
    why: "the chart was forgotten",
    given: tree({ chartYaml: "version: 1.2.2\nappVersion: 1.2.3\n" }),
    faults: ['chart/Chart.yaml: version: must be "1.2.3" as in package.json, got "1.2.2": write version: 1.2.3'],
  },
  {
    why: "the version of the program that the chart brings was forgotten, and is a number to YAML",
    given: tree({ chartYaml: "version: 1.2.3\nappVersion: 1.10\n" }),
    faults: ['chart/Chart.yaml: appVersion: must be "1.2.3" as in package.json, got 1.1: write appVersion: 1.2.3'],
  },
  {
    why: "the lock file is of another version, in both places",
    given: tree({ packageLock: JSON.stringify({ version: "1.2.2", packages: { "": { version: "1.2.2" } } }) }),
    faults: [
      'package-lock.json: version: must be "1.2.3" as in package.json, got "1.2.2": run npm install --package-lock-only',
      'package-lock.json: the root package\'s version: must be "1.2.3" as in package.json, got "1.2.2": run npm install --package-lock-only',
    ],
  },
  {
    why: "a tag of an image cannot hold it",
    given: tree({}, "1.2.3+build"),
    faults: ['package.json: version: must be a version such as 1.2.3 or 1.2.3-rc.1, got "1.2.3+build"'],
  },
  {
    why: "what changed is still pending",
    given: tree({ changelog: "# Changelog\n\n## Pending\nIt runs.\n\n## 1.2.30\nNo.\n" }),
    unready: ['CHANGELOG.md: must have the heading "## 1.2.3": give the part "Pending" that name'],
  },
  {
    why: "the version has two parts in the changelog",
    given: tree({ changelog: "## 1.2.3\na\n## 1.2.3\nb\n" }),
    unready: ['CHANGELOG.md: must have the heading "## 1.2.3" once, got 2 of it'],
  },
  {
    why: "nothing stands below the heading",
    given: tree({ changelog: "## 1.2.3\n\n## 1.2.2\nIt ran.\n" }),
    unready: ['CHANGELOG.md: must say what changed below "## 1.2.3", got nothing'],
  },
];

describe("checkVersions()", () => {
  for (const { why, given, faults = [], unready = [] } of cases)
    it(`finds ${faults.length + unready.length} when ${why}`, () => {
      const found = checkVersions(given);
      expect({ faults: found.faults, unready: found.unready }).to.deep.equal({ faults, unready });
    });

  it("finds one version in this tree", () => {
    const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");
    const sources = {
      packageJson: read("package.json"),
      packageLock: read("package-lock.json"),
      chartYaml: read("chart/Chart.yaml"),
      changelog: read("CHANGELOG.md"),
    };
    expect(checkVersions(sources).faults).to.deep.equal([]);
  });
});

describe("publishLines()", () => {
  it("names the image as the chart's default tag has it, and the package of the chart", () => {
    expect(publishLines("1.2.3", "/out", "registry.example/team")).to.deep.equal([
      "git tag -a v1.2.3 -m v1.2.3",
      "docker build -t registry.example/team/runtime:1.2.3 .",
      "docker push registry.example/team/runtime:1.2.3",
      "helm push /out/runtime-1.2.3.tgz oci://registry.example/team/charts",
    ]);
  });
});
