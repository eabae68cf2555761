import { join } from "node:path";
import { run } from "../../scripts/lib/command.ts";
import { findProgram, installPackages } from "../../scripts/lib/debian.ts";

const root = join(import.meta.dirname, "../..");
/** Shell that others run: each must pass as it is, and in the strictest dialect. */
const SCRIPTS = ["chart/files/fence.sh"];

describe("shell scripts", () => {
  before(async function () {
    this.timeout(120_000);
    if ((await findProgram("shellcheck")) === undefined) await installPackages(["shellcheck"], () => {});
  });

  for (const script of SCRIPTS)
    it(`${script} is clean POSIX sh`, async function () {
      this.timeout(30_000);
      await run("shellcheck", ["--shell=sh", "--severity=style", join(root, script)]);
    });
});
