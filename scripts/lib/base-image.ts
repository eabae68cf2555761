// A stand-in for the base image of our Dockerfile, for machines without an image registry: Debian by debootstrap, Node
// and npm from the npm registry, and the machine's own certificate authorities, so that `npm ci` works in it.
import { createReadStream } from "node:fs";
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { hashFile, type Say } from "./cache.ts";
import { run, until, withRetry } from "./command.ts";
import { findProgram, installPackages, systemPath } from "./debian.ts";
import { connectDocker } from "./find-docker.ts";

const NAME = "node:24-slim";
const suite = "bookworm";
const npmVersion = "11.6.2";
const authorities = "/etc/ssl/certs/ca-certificates.crt";
const inImage = "/usr/local/share/machine-ca.crt";
const meta = [
  "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  `ENV NODE_EXTRA_CA_CERTS=${inImage}`,
  'CMD ["node"]',
];

interface Shelf {
  readonly cacheDir: string;
  readonly say: Say;
}

/** Makes `node:24-slim` in this engine unless it is there: pulled where there is a registry, else the stand-in. */
export async function ensureBaseImage(dockerHost: string, { cacheDir, say }: Shelf): Promise<void> {
  const docker = connectDocker(dockerHost);
  const isThere = async () => (await docker.listImages({ filters: { reference: [NAME] } })).length > 0 || undefined;
  if ((await isThere()) || (await pull(dockerHost))) return;
  const tarball = await ensureBaseTarball({ cacheDir, say });
  say(`importing the stand-in for ${NAME}`);
  const [repo, tag] = NAME.split(":");
  const reply = await docker.importImage(createReadStream(tarball), { repo, tag, changes: meta.join("\n") });
  reply.resume();
  await until(`the image ${NAME}`, 120_000, isThere);
}

async function pull(dockerHost: string): Promise<boolean> {
  const docker = connectDocker(dockerHost);
  try {
    const progress = await docker.pull(NAME, { abortSignal: AbortSignal.timeout(300_000) });
    await new Promise<void>((done, fail) => {
      docker.modem.followProgress(progress, (error) => (error ? fail(error) : done()));
    });
    return true;
  } catch {
    return false;
  }
}

/** The stand-in's file system in the cache, checked by its sha256. The first time takes a minute or two. */
export async function ensureBaseTarball({ cacheDir, say }: Shelf): Promise<string> {
  const ca = (await hashFile(authorities).catch(() => "none")).slice(0, 12);
  const tarball = join(cacheDir, `base-${suite}-node${process.versions.node}-npm${npmVersion}-${process.arch}-${ca}.tar`);
  const stamp = `${tarball}.sha256`;
  const wanted = await readFile(stamp, "utf8").catch(() => undefined);
  if (wanted !== undefined && (await hashFile(tarball).catch(() => "")) === wanted) return tarball;

  if (!(await findProgram("debootstrap"))) await installPackages(["debootstrap"], say);
  say(`building a stand-in for ${NAME} by debootstrap (once, a minute or two)`);
  const dir = await mkdtemp(join(cacheDir, "base-"));
  try {
    const tree = join(dir, "tree");
    await withRetry("build a Debian tree", say, async () => {
      await rm(tree, { recursive: true, force: true });
      await run("debootstrap", ["--variant=minbase", suite, tree], { env: { ...process.env, PATH: systemPath } });
    });
    await addNode(tree, say);
    await rm(join(tree, "var/cache/apt/archives"), { recursive: true, force: true });
    await run("tar", ["-C", tree, "--one-file-system", "-cf", join(dir, "tar"), "."]);
    await rename(join(dir, "tar"), tarball);
    await writeFile(stamp, await hashFile(tarball));
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
  return tarball;
}

async function addNode(tree: string, say: Say): Promise<void> {
  const local = join(tree, "usr/local");
  await mkdir(join(local, "bin"), { recursive: true });
  // We run on it ourselves: the binary of the npm package `node`.
  await copyFile(process.execPath, join(local, "bin/node"));
  await withRetry("install npm into the stand-in", say, () => run("npm", ["install", "--global", "--prefix", local, `npm@${npmVersion}`]));
  if (!(await stat(authorities).catch(() => undefined))) return;
  await copyFile(authorities, join(tree, inImage));
  await mkdir(join(local, "etc"), { recursive: true });
  await writeFile(join(local, "etc/npmrc"), `cafile=${inImage}\n`);
}
