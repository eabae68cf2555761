import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

import { coupleSockets } from "./couple-sockets.ts";

export interface DockerCalls {
  /** For DOCKER_HOST. */
  readonly at: string;
  /** How often each method and path was asked for, ids left out. */
  readonly counts: ReadonlyMap<string, number>;
  readonly stop: () => Promise<void>;
}

/** Stands between a client and a Docker Engine, passes everything on and counts the requests. */
export async function countDockerCalls(dockerHost: string, socketPath: string): Promise<DockerCalls> {
  const counts = new Map<string, number>();
  const open = new Set<Socket>();
  const url = new URL(dockerHost);
  const dial = (): Socket => (url.protocol === "unix:" ? connect(url.pathname) : connect(Number(url.port || 2375), url.hostname));
  const server = createServer((client) => {
    const engine = dial();
    coupleSockets(client, engine, open);
    engine.pipe(client);
    // Node writes the head of a request in one piece, and asks on one connection only when the answer before has come.
    client.on("data", (chunk: Buffer) => {
      const call = callOf(chunk);
      if (call !== undefined) counts.set(call, (counts.get(call) ?? 0) + 1);
      engine.write(chunk);
    });
    client.on("end", () => engine.end());
  });
  server.listen(socketPath);
  await once(server, "listening");
  const stop = async (): Promise<void> => {
    for (const socket of open) socket.destroy();
    await new Promise((done) => server.close(done));
  };
  return { at: `unix://${socketPath}`, counts, stop };
}

function callOf(chunk: Buffer): string | undefined {
  const [, method, path] = /^([A-Z]+) (?:\/v[\d.]+)?(\/[^\s?]*)\S* HTTP\/1\.1\r\n/.exec(chunk.toString("latin1", 0, 4_096)) ?? [];
  return method === undefined || path === undefined
    ? undefined
    : `${method} ${path.replace(/\/containers\/[^/]+\/(?=\w+$)/, "/containers/ID/")}`;
}
