// Images without a registry, as archives that `ctr images import` and `docker load` read.
import { cp, mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { join, relative } from "node:path";

import { BOT_IMAGE } from "../bot-image.ts";
import { hashFile, type Place } from "../cache.ts";
import { run } from "../command.ts";
import { openImageBuilder } from "../image-builder.ts";
import { packTar, type TarEntry } from "../tar.ts";
import { inSpace, type Space } from "./space.ts";

/** What holds a pod's namespaces open. */
export const PAUSE_IMAGE = "docker.io/bot-runner/pause:1";
/** The runtime's own image, from the Dockerfile. */
export const RUNTIME_IMAGE = "runtime:latest";
/** A stand-in for Docker's image of that name: Debian's Engine and the same way in. */
export const DIND_IMAGE = "docker:dind";
/** An Engine that runs nothing and says that it does; pulls are granted. */
export const SCRIPTED_IMAGE = "bot-runner/scripted-engine:1";
/** A stand-in for the image of that name: the tests' wire server, started by the same words. */
const MONGO_IMAGE = "mongo:7";

const root = join(import.meta.dirname, "..", "..", "..");
const dindDir = join(import.meta.dirname, "dind");
const mongoDir = join(import.meta.dirname, "mongo");
const libDir = join(root, "scripts", "lib");
const scriptedDir = join(import.meta.dirname, "scripted");
const supportFiles = ["scripted-engine.ts", "fake-daemon.ts", "scripted-daemon.ts", "engine-replies.json"];

/** What is in the bots' image: one static program under all its names. */
export async function busyboxFiles(busybox: string): Promise<TarEntry[]> {
  const applets = (await run(busybox, ["--list"])).trim().split("\n");
  const links = applets.filter((a) => a !== "busybox").map((a) => ({ path: `bin/${a}`, mode: 0o777, link: "busybox" }));
  return [
    { path: "bin/", mode: 0o755 },
    { path: "bin/busybox", mode: 0o755, data: await readFile(busybox) },
    ...links,
    { path: "etc/", mode: 0o755 },
    { path: "etc/group", mode: 0o644, data: Buffer.from("root:x:0:\nnogroup:x:65534:\n") },
    { path: "etc/passwd", mode: 0o644, data: Buffer.from("root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n") },
    { path: "tmp/", mode: 0o1777 },
  ];
}

/** Writes an archive with the two images that each cluster has: pause and the bots'. */
export async function writeSmallImages(dir: string, files: readonly TarEntry[]): Promise<string> {
  const layer = packTar(files);
  const hash = sha256(layer);
  const image = (config: object) =>
    Buffer.from(
      JSON.stringify({
        architecture: process.arch === "x64" ? "amd64" : process.arch,
        os: "linux",
        created: "1970-01-01T00:00:00Z",
        config: { Env: ["PATH=/bin"], ...config },
        rootfs: { type: "layers", diff_ids: [`sha256:${hash}`] },
      }),
    );
  const images = [
    // Otherwise PID 1 would not hear SIGTERM, and each pod would take its whole grace period to end.
    { name: PAUSE_IMAGE, config: image({ Cmd: ["/bin/sh", "-c", "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done"] }) },
    { name: `docker.io/${BOT_IMAGE}`, config: image({ Cmd: ["/bin/sh"] }) },
  ];
  const manifest = images.map(({ name, config }) => ({ Config: `${sha256(config)}.json`, RepoTags: [name], Layers: [`${hash}.tar`] }));
  const entries: TarEntry[] = [
    { path: "manifest.json", mode: 0o644, data: Buffer.from(JSON.stringify(manifest)) },
    ...images.map(({ config }) => ({ path: `${sha256(config)}.json`, mode: 0o644, data: config })),
    { path: `${hash}.tar`, mode: 0o644, data: layer },
  ];
  const path = join(dir, "small-images.tar");
  await writeFile(path, packTar(entries));
  return path;
}

/** Makes the archive's images known to the node's containerd. It must be up. `bin` is where its ctr lies. */
export const importImages = (node: Space, bin: string, archive: string): Promise<string> =>
  callContainerd(node, bin, ["images", "import", "--local", archive]);

/** Runs ctr on the images and containers that the kubelet sees. */
export const callContainerd = (node: Space, bin: string, words: readonly string[]): Promise<string> =>
  inSpace(node, join(bin, "ctr"), ["--address", "/run/containerd/containerd.sock", "--namespace", "k8s.io", ...words]);

/** An archive with the runtime's image, the stand-ins for docker:dind and mongo:7 and the scripted Engine, in the cache, built
 *  when what they are made of has changed: some minutes and 1 GB of disk the first time. */
export async function ensureProductImages(place: Place, env: NodeJS.ProcessEnv): Promise<string> {
  const dir = join(place.cacheDir, "cluster", "images");
  const path = join(dir, `product-${(await hashSources()).slice(0, 16)}.tar`);
  const stamp = `${path}.sha256`;
  const wanted = await readFile(stamp, "utf8").catch(() => undefined);
  if (wanted !== undefined && (await hashFile(path).catch(() => "")) === wanted) return path;
  const began = performance.now();
  place.say(`building the images ${RUNTIME_IMAGE}, ${DIND_IMAGE} and ${MONGO_IMAGE} (stand-ins)`);
  const builder = await openImageBuilder(place, env);
  const docker = (...args: string[]) => run("docker", args, { env: { ...process.env, DOCKER_HOST: builder.dockerHost } });
  try {
    await docker("build", "--network", "host", "-t", DIND_IMAGE, dindDir);
    await docker("build", "--network", "host", "-t", MONGO_IMAGE, "-f", join(mongoDir, "Dockerfile"), libDir);
    await docker("build", "--network", "host", "-t", RUNTIME_IMAGE, root);
    await docker("build", "-t", SCRIPTED_IMAGE, await scriptedContext(place.runDir));
    await mkdir(dir, { recursive: true });
    // Their base is in it once, for they share its layer.
    await docker("save", "-o", `${path}.new`, RUNTIME_IMAGE, DIND_IMAGE, MONGO_IMAGE, SCRIPTED_IMAGE);
    await rename(`${path}.new`, path);
    await writeFile(stamp, await hashFile(path));
  } finally {
    await builder.stop();
  }
  for (const name of await readdir(dir)) if (!path.startsWith(join(dir, name.slice(0, 24)))) await rm(join(dir, name), { force: true });
  place.say(`built the images in ${Math.round((performance.now() - began) / 1000)} s`);
  return path;
}

// The repository's own context lets only what the runtime's image needs through.
async function scriptedContext(runDir: string): Promise<string> {
  const dir = join(runDir, "scripted-engine");
  await cp(scriptedDir, dir, { recursive: true });
  await cp(join(root, "src"), join(dir, "src"), { recursive: true });
  for (const name of supportFiles) await cp(join(root, "test", "support", name), join(dir, "support", name));
  return dir;
}

// All that the builds copy.
async function hashSources(): Promise<string> {
  const names = ["Dockerfile", ".npmrc", "package.json", "package-lock.json", "scripts/bundle.ts"];
  const files = [
    ...names.map((name) => join(root, name)),
    ...(await filesBelow(join(root, "src"))),
    ...(await filesBelow(dindDir)),
    ...(await filesBelow(mongoDir)),
    ...(await filesBelow(scriptedDir)),
  ];
  files.push(...supportFiles.map((name) => join(root, "test", "support", name)));
  files.push(join(libDir, "mongo-requirements.txt"), ...(await filesBelow(join(root, "chart", "files")).catch(() => [])));
  const hash = createHash("sha256").update(process.versions.node);
  for (const file of files) hash.update(`${relative(root, file)} ${await hashFile(file)}\n`);
  return hash.digest("hex");
}

async function filesBelow(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
}

const sha256 = (data: Buffer): string => createHash("sha256").update(data).digest("hex");
