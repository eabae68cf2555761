// What a release consists of. All of it is made from a copy in a directory of its own, so that neither an old dist/ gets in nor
// the tree is touched.
import { cp, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { hashFile, type Say } from "../cache.ts";
import { run } from "../command.ts";

const root = join(import.meta.dirname, "..", "..", "..");
/** What goes into the npm package beside the program: the fence is looked for at this place, as in the image. */
const PACKED = ["README.md", "CHANGELOG.md", "LICENSE", "chart/files/fence.sh"];

export type Workshop = {
  readonly out: string;
  readonly stage: string;
  readonly helm: string;
  readonly say: Say;
  readonly signal: AbortSignal;
};

/** Makes everything in `out`, checksums last. @returns the names of the files */
export async function makeArtifacts({ out, stage, helm, say, signal }: Workshop): Promise<string[]> {
  const begin = (what: string): void => {
    signal.throwIfAborted();
    say(what);
  };
  begin("the chart's package");
  await run(helm, ["package", join(root, "chart"), "--destination", out]);
  // The last part is the name that npm's bill of materials gives to the program.
  const copy = join(stage, "bot-runner");
  await mkdir(copy, { recursive: true });
  for (const path of PACKED) await cp(join(root, path), join(copy, path), { recursive: true });
  const { devDependencies: _, ...manifest } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as Record<string, unknown>;
  await writeFile(join(copy, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  begin("the program");
  const tsc = join(root, "node_modules", ".bin", "tsc");
  await run(tsc, ["-p", join(root, "tsconfig.build.json"), "--outDir", join(copy, "dist")]);
  begin("npm's package");
  await run("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", out], { cwd: copy });
  begin("the bills of materials");
  await cp(join(root, "package-lock.json"), join(copy, "package-lock.json"));
  // Takes what only builds or tests it out of the lock file, changing no version. `npm sbom --omit dev` would also leave out what
  // the program shares with those: yaml and zod, for knip has them, too.
  await run("npm", ["install", "--package-lock-only", "--offline", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], {
    cwd: copy,
  });
  for (const format of ["cyclonedx", "spdx"]) {
    const bill = ["sbom", "--sbom-format", format, "--sbom-type", "application", "--package-lock-only"];
    await writeFile(join(out, `sbom.${format}.json`), await run("npm", bill, { cwd: copy }));
  }
  const made = (await readdir(out)).toSorted();
  const sums = await Promise.all(made.map(async (name) => `${await hashFile(join(out, name))}  ${name}\n`));
  await writeFile(join(out, "SHA256SUMS"), sums.join(""));
  return [...made, "SHA256SUMS"];
}

/** The lines that publish it, for whoever may. Nothing here runs them. */
export function publishLines(version: string, out: string, registry: string): string[] {
  const image = `${registry}/runtime:${version}`;
  return [
    `git tag -a v${version} -m v${version}`,
    `docker build -t ${image} .`,
    `docker push ${image}`,
    `helm push ${join(out, `runtime-${version}.tgz`)} oci://${registry}/charts`,
  ];
}
