// As much of the API server as bringing it up needs; tests and the product use a client library.
import { readFile } from "node:fs/promises";
import { Agent, request } from "node:https";
import { join } from "node:path";

/** A GET as the cluster's admin: status and parsed body. Rejects while nobody listens, and after 5 s. */
export type Get = (path: string) => Promise<{ readonly status: number; readonly body: unknown }>;

export async function openApi(runDir: string, address: string): Promise<Get> {
  const pki = (file: string) => readFile(join(runDir, "pki", file));
  const [ca, cert, key] = await Promise.all([pki("ca.pem"), pki("admin.pem"), pki("admin.key")]);
  // A handshake with both certificates costs more than all else of a GET, on both sides. Idle connections hold no process up.
  const agent = new Agent({ keepAlive: true, maxSockets: 4, ca, cert, key });
  return (path) =>
    new Promise((done, fail) => {
      const call = request({ host: address, port: 6443, path, agent, signal: AbortSignal.timeout(5000) }, (reply) => {
        const chunks: Buffer[] = [];
        reply.on("data", (chunk: Buffer) => chunks.push(chunk));
        reply.once("error", fail);
        reply.once("end", () => {
          const text = Buffer.concat(chunks).toString();
          const isJson = reply.headers["content-type"]?.startsWith("application/json") ?? false;
          done({ status: reply.statusCode ?? 0, body: isJson ? JSON.parse(text) : text });
        });
      });
      call.once("error", fail);
      call.end();
    });
}

/** Whether a GET of this path is answered with 200. */
export const isThere = (get: Get, path: string): Promise<true | undefined> =>
  get(path).then(
    ({ status }) => status === 200 || undefined,
    () => undefined,
  );

/** The node's Ready condition; undefined when it has not registered yet. */
export async function readiness(get: Get, node: string): Promise<string | undefined> {
  const reply = await get(`/api/v1/nodes/${node}`).catch(() => undefined);
  if (reply?.status !== 200) return undefined;
  const { status } = reply.body as { status?: { conditions?: { type: string; status: string; reason?: string }[] } };
  const ready = status?.conditions?.find(({ type }) => type === "Ready");
  return ready?.status === "True" ? "Ready" : (ready?.reason ?? "NotReady");
}
