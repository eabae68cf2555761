// A registry in one program, for tests and chaos: it speaks as much of the Docker Registry API v2 as a pull needs, for tiny
// images under any name. It takes orders as JSON lines on stdin, ends when that closes, and writes a line for each request.
// Arguments: the port, 0 for a free one; a static busybox, for images that run.
import { readFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import { createInterface } from "node:readline";
import { type Layer, MANIFEST_TYPE, packImage, packLayer, type RegistryImage } from "./registry-image.ts";

/** What it does from now on. */
export type RegistryOrder = {
  readonly mode: "serve" | "unknown" | "limited" | "stall" | "broken-blob" | "trouble";
  /** Another number is another image under every name; `by-tag`: a tag is such a number. */
  readonly generation: number | "by-tag";
  /** What a limited caller is told to wait. @default 30 */
  readonly retryAfterSeconds?: number;
  /** `user:password` that a caller must show. */
  readonly basic?: string;
};

/** Blobs and manifest of an image; the blobs of `base` lie under its own. */
export const tinyImage = (generation: number, base: readonly Layer[] = []): RegistryImage =>
  packImage([...base, packLayer([{ path: "generation", mode: 0o644, data: Buffer.from(`${generation}\n`) }])], {
    Cmd: ["/none"],
    Env: ["PATH=/bin"],
  });

/** As much of a system as a bot's script needs. */
function shellLayer(busybox: string): Layer {
  const links = ["sh", "date", "sleep"].map((name) => ({ path: `bin/${name}`, mode: 0o777, link: "busybox" }));
  return packLayer([{ path: "bin/", mode: 0o755 }, { path: "bin/busybox", mode: 0o755, data: readFileSync(busybox) }, ...links]);
}

function serve(port: number, busybox: string): void {
  const base = busybox === "" ? [] : [shellLayer(busybox)];
  /** What was served: an engine asks for blobs by digest alone. */
  const images = new Map<number, RegistryImage>();
  const imageOf = (generation: number): RegistryImage => {
    const image = images.get(generation) ?? tinyImage(generation, base);
    images.set(generation, image);
    return image;
  };
  /** Answers that a stall keeps back. */
  const stalled = new Set<ServerResponse>();
  let order: RegistryOrder = { mode: "serve", generation: 1 };
  const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
  const refuse = (response: ServerResponse, status: number, code: string, message: string, headers: Record<string, string> = {}): void =>
    void response
      .writeHead(status, { "content-type": "application/json", ...headers })
      .end(JSON.stringify({ errors: [{ code, message }] }));

  const server = createServer((request, response) => {
    const { method = "", url = "", headers } = request;
    const { mode, generation, basic, retryAfterSeconds = 30 } = order;
    say({ method, url });
    response.setHeader("docker-distribution-api-version", "registry/2.0");
    if (basic !== undefined && headers.authorization !== `Basic ${Buffer.from(basic).toString("base64")}`)
      return refuse(response, 401, "UNAUTHORIZED", "authentication required", { "www-authenticate": 'Basic realm="test"' });
    const [, kind, reference = ""] = /\/(manifests|blobs)\/([^/]+)$/.exec(url) ?? [];
    if (kind === undefined) return void response.end("{}");
    if (mode === "unknown") return refuse(response, 404, "MANIFEST_UNKNOWN", "manifest unknown");
    if (mode === "trouble") return refuse(response, 503, "UNAVAILABLE", "in trouble");
    if (mode === "limited")
      return refuse(response, 429, "TOOMANYREQUESTS", `retry-after: ${retryAfterSeconds}s`, { "retry-after": String(retryAfterSeconds) });
    const isDigest = reference.startsWith("sha256:");
    const image = isDigest
      ? [...images.values()].find(({ blobs }) => blobs.has(reference))
      : imageOf(generation === "by-tag" ? Number(reference) : generation);
    const digest = isDigest ? reference : image?.manifest;
    const whole = image?.blobs.get(digest ?? "");
    if (image === undefined || digest === undefined || whole === undefined)
      return refuse(response, 404, "MANIFEST_UNKNOWN", "manifest unknown");
    const isLayer = kind === "blobs" && digest !== image.config;
    // An engine goes on where a download broke off.
    const from = Number(/^bytes=(\d+)-/.exec(headers.range ?? "")?.[1] ?? 0);
    if (from >= whole.length) return refuse(response, 416, "RANGE_INVALID", "no such range");
    const bytes = whole.subarray(from);
    response.writeHead(from > 0 ? 206 : 200, {
      "content-type": kind === "manifests" ? MANIFEST_TYPE : "application/octet-stream",
      "content-length": bytes.length,
      "docker-content-digest": digest,
      ...(from > 0 && { "content-range": `bytes ${from}-${whole.length - 1}/${whole.length}` }),
    });
    if (method === "HEAD") return void response.end();
    if (isLayer && mode === "stall") {
      stalled.add(response);
      return void response.write(bytes.subarray(0, 10));
    }
    response.end(isLayer && mode === "broken-blob" ? Buffer.alloc(bytes.length) : bytes);
  });
  server.listen(port, "127.0.0.1", () => {
    const address = server.address();
    say({ port: typeof address === "object" ? address?.port : undefined });
  });
  const orders = createInterface({ input: process.stdin });
  orders.on("line", (line) => {
    order = JSON.parse(line) as RegistryOrder;
    // A stall is over when its connection is: the engine asks again.
    if (order.mode !== "stall") for (const response of stalled) response.destroy();
    if (order.mode !== "stall") stalled.clear();
    say({ obeyed: order.mode });
  });
  orders.once("close", () => {
    server.closeAllConnections();
    server.close();
  });
}

if (import.meta.main) serve(Number(process.argv[2] ?? 0), process.argv[3] ?? "");
