import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect } from "chai";

import { helms, LEAST } from "../support/chart.ts";

const root = join(import.meta.dirname, "..", "..");
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { readonly version: string };
const [, helm4] = helms;

const release = (args: readonly string[], env: NodeJS.ProcessEnv = {}) =>
  spawnSync(process.execPath, ["scripts/release.ts", ...args], {
    cwd: root,
    env: { ...process.env, HELM: helm4.path, ...env },
    encoding: "utf8",
    timeout: 100_000,
  });

describe("scripts/release --dry-run", function () {
  this.timeout(120_000);
  let dir: string;
  let out: string;
  let made: ReturnType<typeof release>;
  const read = (name: string): string => readFileSync(join(out, name), "utf8");
  const unpack = (name: string): string => {
    const to = mkdtempSync(join(dir, "unpacked-"));
    execFileSync("tar", ["-xzf", join(out, name), "-C", to]);
    return to;
  };

  before(() => {
    dir = mkdtempSync(join(tmpdir(), "release-test-"));
    out = join(dir, "out");
    made = release(["--dry-run", "--out", out]);
  });
  after(() => rmSync(dir, { recursive: true, force: true }));

  it("makes everything", () => {
    expect(made.stderr, made.stderr).to.include("-- the chart's package");
    expect(made.status, made.stderr).to.equal(0);
    expect(readdirSync(out).toSorted()).to.deep.equal(
      ["SHA256SUMS", `bot-runner-${version}.tgz`, `runtime-${version}.tgz`, "sbom.cyclonedx.json", "sbom.spdx.json"].toSorted(),
    );
  });

  it("prints the lines that publish it, and nothing else", () => {
    const registry = "registry.example/bot-runner";
    expect(made.stdout.trim().split("\n")).to.deep.equal([
      `git tag -a v${version} -m v${version}`,
      `docker build -t ${registry}/runtime:${version} .`,
      `docker push ${registry}/runtime:${version}`,
      `helm push ${join(out, `runtime-${version}.tgz`)} oci://${registry}/charts`,
    ]);
  });

  it("sums up each file", () => {
    const lines = read("SHA256SUMS").trim().split("\n");
    expect(lines).to.have.lengthOf(4);
    for (const line of lines) {
      const [sum, name = ""] = line.split("  ");
      expect(
        createHash("sha256")
          .update(readFileSync(join(out, name)))
          .digest("hex"),
      ).to.equal(sum);
    }
  });

  for (const helm of helms)
    it(`packs a chart that ${helm.name} installs`, () => {
      const args = ["template", "runtime", join(out, `runtime-${version}.tgz`), "--kube-version", "1.29.0", "--values", "-"];
      const rendered = execFileSync(helm.path, args, { input: JSON.stringify(LEAST), encoding: "utf8" });
      expect(rendered).to.include(`image: mine/runtime:${version}\n`).and.include("fence.sh: |");
    });

  it("packs a program that runs, and no sources, tests or tools", () => {
    const copy = join(unpack(`bot-runner-${version}.tgz`), "package");
    expect(readdirSync(copy).toSorted()).to.deep.equal(["CHANGELOG.md", "LICENSE", "README.md", "chart", "dist", "package.json"]);
    symlinkSync(join(root, "node_modules"), join(copy, "node_modules"));
    const program = join(copy, "dist", "main.js");
    // What npm links into a user's PATH has to say itself what runs it.
    expect(readFileSync(program, "utf8").startsWith("#!/usr/bin/env node\n")).to.equal(true);
    expect(execFileSync(process.execPath, [program, "--version"], { encoding: "utf8" }).trim()).to.equal(version);
  });

  it("lists what the program is made of, and nothing that only builds or tests it", () => {
    const bill = JSON.parse(read("sbom.cyclonedx.json")) as {
      readonly metadata: { readonly component: { readonly name: string; readonly version: string; readonly type: string } };
      readonly components: readonly { readonly group?: string; readonly name: string; readonly version: string; readonly purl: string }[];
    };
    expect(bill.metadata.component).to.include({ name: "bot-runner", version, type: "application" });
    const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
      readonly packages: Readonly<Record<string, { readonly version: string; readonly dev?: boolean }>>;
    };
    const locked = Object.entries(lock.packages).flatMap(([path, { version: exact, dev }]) =>
      path === "" || dev === true ? [] : [`pkg:npm/${path.split("node_modules/").at(-1)}@${exact}`],
    );
    expect(bill.components.map(({ purl }) => decodeURIComponent(purl)).toSorted()).to.deep.equal([...new Set(locked)].toSorted());
    const spdx = JSON.parse(read("sbom.spdx.json")) as { readonly spdxVersion: string; readonly packages: readonly unknown[] };
    expect(spdx.spdxVersion).to.match(/^SPDX-2\./);
    expect(spdx.packages).to.have.lengthOf(bill.components.length + 1);
  });
});

describe("scripts/release", () => {
  const refusals = [
    { why: "an option that it does not know", args: ["--publish"], code: 64, says: "--publish" },
    { why: "a registry with a scheme", args: ["--registry", "oci://registry.example"], code: 64, says: "--registry: must be a host" },
    { why: "a machine without helm", args: ["--dry-run"], env: { HELM: "/nowhere/helm" }, code: 69, says: 'Cannot run "/nowhere/helm"' },
  ] as const;
  for (const { why, args, code, says, ...more } of refusals)
    it(`refuses ${why}`, () => {
      const { status, stderr, stdout } = release(args, "env" in more ? more.env : {});
      expect(stderr).to.include(says);
      expect({ status, stdout }).to.deep.equal({ status: code, stdout: "" });
    });

  it("refuses a directory that has something in it, and leaves that there", () => {
    const dir = mkdtempSync(join(tmpdir(), "release-test-"));
    try {
      writeFileSync(join(dir, "mine"), "");
      const { status, stderr } = release(["--dry-run", "--out", dir]);
      expect(stderr).to.include("--out: must be an empty directory");
      expect(status).to.equal(64);
      expect(readdirSync(dir)).to.deep.equal(["mine"]);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it("explains itself", () => {
    const { status, stdout } = release(["--help"]);
    expect(stdout).to.include("Exit codes: 0 done, 1 failed, 64 wrong usage");
    expect(status).to.equal(0);
  });
});
