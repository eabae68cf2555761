import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";

import type { Place } from "../lib/cache.ts";
import { run, until } from "../lib/command.ts";
import { fetchPackageFile, findProgram, installPackages } from "../lib/debian.ts";
import { connectDocker } from "../lib/find-docker.ts";
import { packTar } from "../lib/tar.ts";

type Shelf = Omit<Place, "runDir">;

const source = join(import.meta.dirname, "beacon.c");
const plain = ["-static", "-nostdlib"];
const careful = ["-O1", "-ffreestanding", "-fno-stack-protector", "-fno-pie", "-no-pie"];

export interface Beacon {
  /** A static program of a few kilobytes that runs on this machine and in an empty image. */
  readonly path: string;
  /** The name of its image, which changes with its source. */
  readonly image: string;
}

/** Compiles the beacon once per source; the cache keeps the program. */
export async function ensureBeacon(shelf: Shelf): Promise<Beacon> {
  const hash = createHash("sha256")
    .update(await readFile(source))
    .update(process.arch)
    .digest("hex")
    .slice(0, 16);
  const beacon = { path: join(shelf.cacheDir, "beacon", hash), image: `bot-runner/beacon:${hash}` };
  if (await readFile(beacon.path).catch(() => undefined)) return beacon;
  shelf.say("compiling the beacon");
  await mkdir(join(shelf.cacheDir, "beacon"), { recursive: true });
  const dir = await mkdtemp(join(shelf.cacheDir, "beacon", "new-"));
  try {
    const made = join(dir, "beacon");
    const [compiler = "", ...flags] = await findCompiler(shelf);
    await run(compiler, [...flags, ...plain, "-o", made, source]);
    await rename(made, beacon.path);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
  return beacon;
}

/** tcc is the smallest: one file out of its package, nothing is installed. It assembles for x86 only. */
async function findCompiler(shelf: Shelf): Promise<readonly string[]> {
  if (process.arch === "x64") {
    const tcc = await fetchPackageFile(shelf, "tcc", "usr/bin/tcc");
    await chmod(tcc, 0o755);
    return [tcc, "-nostdinc"];
  }
  const find = () => findProgram("gcc", "clang");
  if (!(await find())) await installPackages(["gcc"], shelf.say);
  return [(await find()) ?? "gcc", ...careful];
}

/** Makes the beacon's image in this engine unless it is there. Nothing is pulled. */
export async function ensureBeaconImage(dockerHost: string, { path, image }: Beacon): Promise<void> {
  const docker = connectDocker(dockerHost);
  const isThere = async () => (await docker.listImages({ filters: { reference: [image] } })).length > 0 || undefined;
  if (await isThere()) return;
  const archive = packTar([
    { path: "beacon", mode: 0o755, data: await readFile(path) },
    { path: "tmp/", mode: 0o1777 },
  ]);
  const [repo, tag] = image.split(":");
  const reply = await docker.importImage(Readable.from([archive]), { repo, tag, changes: 'CMD ["/beacon"]' });
  reply.resume();
  await until(`the image ${image}`, 60_000, isThere);
}
