// Images for the Docker Engines inside pods. They pull as anywhere, from a mirror of Docker Hub that holds what was published
// here: a directory with a manifest for each name and the blobs that these name.
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { packImage, packLayer } from "../registry-image.ts";
import type { TarEntry } from "../tar.ts";

/** What pods call the mirror; the stand-in for docker:dind names it. */
export const MIRROR_NAME = "mirror.test";
/** Port of the mirror on the hub's address. */
export const REGISTRY_PORT = 5000;

export const registryDir = (runDir: string): string => join(runDir, "registry");
export const manifestPath = (dir: string, name: string, tag: string): string =>
  join(dir, "manifests", `${name.replaceAll("/", "_")}@${tag}`);
export const blobPath = (dir: string, digest: string): string => join(dir, "blobs", digest.replace(":", "-"));

/** An image of one layer. */
export interface PublishedImage {
  /** As a bot names it: `busybox:1.37`, `bot-runner/beacon:1`. */
  readonly image: string;
  readonly files: readonly TarEntry[];
  /** Cmd, Env and the like. */
  readonly config: object;
}

/** Publishes an image; the tag `*` stands for every tag of the name. */
export async function publishImage(runDir: string, { image, files, config }: PublishedImage): Promise<void> {
  const dir = registryDir(runDir);
  await mkdir(join(dir, "manifests"), { recursive: true });
  await mkdir(join(dir, "blobs"), { recursive: true });
  const { manifest, blobs } = packImage([packLayer(files)], config);
  for (const [digest, bytes] of blobs) await place(blobPath(dir, digest), bytes);
  const [name = "", tag = "latest"] = image.split(":");
  await place(manifestPath(dir, name.includes("/") ? name : `library/${name}`, tag), blobs.get(manifest) ?? Buffer.alloc(0));
}

async function place(path: string, bytes: Buffer): Promise<void> {
  await writeFile(`${path}.new`, bytes);
  await rename(`${path}.new`, path);
}
