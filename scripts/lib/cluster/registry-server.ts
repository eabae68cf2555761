// registry-server.ts DIR ADDRESS: serves what was published in DIR, as much of the Registry API v2 as a pull needs.
import { readFile } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";

import { digestOf, MANIFEST_TYPE } from "../registry-image.ts";
import { blobPath, manifestPath, REGISTRY_PORT } from "./registry.ts";

const [dir = "", address = ""] = process.argv.slice(2);

const read = (path: string): Promise<Buffer | undefined> => readFile(path).catch(() => undefined);

async function find(kind: string, name: string, reference: string): Promise<Buffer | undefined> {
  if (reference.startsWith("sha256:")) return read(blobPath(dir, reference));
  if (kind !== "manifests") return undefined;
  return (await read(manifestPath(dir, name, reference))) ?? read(manifestPath(dir, name, "*"));
}

async function answer(method: string, url: string, response: ServerResponse): Promise<void> {
  response.setHeader("docker-distribution-api-version", "registry/2.0");
  const [, name = "", kind = "", reference = ""] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/?]+)/.exec(url) ?? [];
  if (kind === "") return void response.end("{}");
  const bytes = await find(kind, name, reference);
  if (bytes === undefined) {
    response.writeHead(404, { "content-type": "application/json" });
    return void response.end(JSON.stringify({ errors: [{ code: "MANIFEST_UNKNOWN", message: `no image ${name}:${reference} here` }] }));
  }
  response.writeHead(200, {
    "content-type": kind === "manifests" ? MANIFEST_TYPE : "application/octet-stream",
    "content-length": bytes.length,
    "docker-content-digest": digestOf(bytes),
  });
  response.end(method === "HEAD" ? undefined : bytes);
}

createServer((request, response) => void answer(request.method ?? "", request.url ?? "", response)).listen(REGISTRY_PORT, address);
