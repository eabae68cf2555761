// An image as a registry holds it: blobs by digest, one of them the manifest that names the others.
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { packTar, type TarEntry } from "./tar.ts";

export const MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json";

export const digestOf = (bytes: Buffer): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

export type Layer = { readonly bytes: Buffer; readonly diffId: string };

/** `manifest` and `config` are digests among the keys of `blobs`. */
export type RegistryImage = { readonly manifest: string; readonly config: string; readonly blobs: ReadonlyMap<string, Buffer> };

export function packLayer(entries: readonly TarEntry[]): Layer {
  const tar = packTar(entries);
  return { bytes: gzipSync(tar), diffId: digestOf(tar) };
}

/** @param config Cmd, Env and the like */
export function packImage(layers: readonly Layer[], config: object): RegistryImage {
  const about = { architecture: process.arch === "x64" ? "amd64" : process.arch, os: "linux", created: "1970-01-01T00:00:00Z" };
  const rootfs = { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) };
  const whole = Buffer.from(JSON.stringify({ ...about, config, rootfs }));
  const blob = (mediaType: string, bytes: Buffer) => ({ mediaType, size: bytes.length, digest: digestOf(bytes) });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST_TYPE,
      config: blob("application/vnd.docker.container.image.v1+json", whole),
      layers: layers.map(({ bytes }) => blob("application/vnd.docker.image.rootfs.diff.tar.gzip", bytes)),
    }),
  );
  const blobs = new Map([manifest, whole, ...layers.map(({ bytes }) => bytes)].map((bytes) => [digestOf(bytes), bytes]));
  return { manifest: digestOf(manifest), config: digestOf(whole), blobs };
}
