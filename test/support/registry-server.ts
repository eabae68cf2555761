// A registry in one program, for the tests: it speaks as much of the Docker Registry API v2 as a pull needs, for one tiny
// image under any name. It takes orders as JSON lines on stdin, ends when that closes, and writes a line for each request.
import { createHash } from "node:crypto";
import { createServer, type ServerResponse } from "node:http";
import { createInterface } from "node:readline";
import { gzipSync } from "node:zlib";
import { packTar } from "../../scripts/lib/tar.ts";

/** What it does from now on. */
export type RegistryOrder = {
  readonly mode: "serve" | "unknown" | "limited" | "stall" | "broken-blob" | "trouble";
  /** Another number is another image under every name. */
  readonly generation: number;
  /** `user:password` that a caller must show. */
  readonly basic?: string;
};

const MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
const digestOf = (bytes: Buffer): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** Both blobs and the manifest of an image, by digest. */
export function tinyImage(generation: number): {
  readonly manifest: string;
  readonly config: string;
  readonly files: ReadonlyMap<string, Buffer>;
} {
  const tar = packTar([{ path: "generation", mode: 0o644, data: Buffer.from(`${generation}\n`) }]);
  const layer = gzipSync(tar);
  const config = Buffer.from(
    JSON.stringify({
      architecture: "amd64",
      os: "linux",
      config: { Cmd: ["/none"] },
      rootfs: { type: "layers", diff_ids: [digestOf(tar)] },
    }),
  );
  const blob = (mediaType: string, bytes: Buffer) => ({ mediaType, size: bytes.length, digest: digestOf(bytes) });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: blob("application/vnd.docker.container.image.v1+json", config),
      layers: [blob("application/vnd.docker.image.rootfs.diff.tar.gzip", layer)],
    }),
  );
  const files = new Map([manifest, config, layer].map((bytes) => [digestOf(bytes), bytes]));
  return { manifest: digestOf(manifest), config: digestOf(config), files };
}

function serve(): void {
  let order: RegistryOrder = { mode: "serve", generation: 1 };
  const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
  const refuse = (response: ServerResponse, status: number, code: string, message: string, headers: Record<string, string> = {}): void =>
    void response
      .writeHead(status, { "content-type": "application/json", ...headers })
      .end(JSON.stringify({ errors: [{ code, message }] }));

  const server = createServer((request, response) => {
    const { method = "", url = "", headers } = request;
    const { mode, generation, basic } = order;
    say({ method, url });
    response.setHeader("docker-distribution-api-version", "registry/2.0");
    if (basic !== undefined && headers.authorization !== `Basic ${Buffer.from(basic).toString("base64")}`)
      return refuse(response, 401, "UNAUTHORIZED", "authentication required", { "www-authenticate": 'Basic realm="test"' });
    const [, kind, reference = ""] = /\/(manifests|blobs)\/([^/]+)$/.exec(url) ?? [];
    if (kind === undefined) return void response.end("{}");
    if (mode === "unknown") return refuse(response, 404, "MANIFEST_UNKNOWN", "manifest unknown");
    if (mode === "trouble") return refuse(response, 503, "UNAVAILABLE", "in trouble");
    if (mode === "limited") return refuse(response, 429, "TOOMANYREQUESTS", "retry-after: 30s", { "retry-after": "30" });
    const { manifest, config, files } = tinyImage(generation);
    const digest = reference.startsWith("sha256:") ? reference : manifest;
    const bytes = files.get(digest);
    if (bytes === undefined) return refuse(response, 404, "MANIFEST_UNKNOWN", "manifest unknown");
    const isLayer = kind === "blobs" && digest !== config;
    response.writeHead(200, {
      "content-type": kind === "manifests" ? MANIFEST : "application/octet-stream",
      "content-length": bytes.length,
      "docker-content-digest": digest,
    });
    if (method === "HEAD") return void response.end();
    if (isLayer && mode === "stall") return void response.write(bytes.subarray(0, 10));
    response.end(isLayer && mode === "broken-blob" ? Buffer.alloc(bytes.length) : bytes);
  });
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    say({ port: typeof address === "object" ? address?.port : undefined });
  });
  const orders = createInterface({ input: process.stdin });
  orders.on("line", (line) => {
    order = JSON.parse(line) as RegistryOrder;
    say({ obeyed: order.mode });
  });
  orders.once("close", () => {
    server.closeAllConnections();
    server.close();
  });
}

if (import.meta.main) serve();
