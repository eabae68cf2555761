import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

import { coupleSockets } from "./couple-sockets.ts";

export interface DockerProxy {
  /** For DOCKER_HOST. */
  readonly at: string;
  /** How often each method and path was asked for, ids left out. */
  readonly counts: ReadonlyMap<string, number>;
  /** Breaks every connection: event streams end, and calls under way get no answer. */
  cut(): void;
  /** The next so many such calls are carried out, and their answers are lost. `which` is tried on method and path.
   *  @default every call that changes something */
  loseReplies(count: number, which?: RegExp): void;
  stop(): Promise<void>;
}

const CHANGES = /^(POST|DELETE) /;

/** Stands between a client and a Docker Engine; counts what is asked, and breaks it off when told to. */
export async function proxyDocker(dockerHost: string, socketPath: string): Promise<DockerProxy> {
  const counts = new Map<string, number>();
  const open = new Set<Socket>();
  const url = new URL(dockerHost);
  const dial = (): Socket => (url.protocol === "unix:" ? connect(url.pathname) : connect(Number(url.port || 2375), url.hostname));
  let toLose = 0;
  let losable = CHANGES;
  const server = createServer((client) => {
    const engine = dial();
    coupleSockets(client, engine, open);
    let loses = false;
    // Node writes the head of a request in one piece, and asks on one connection only when the answer before has come.
    client.on("data", (chunk: Buffer) => {
      const call = callOf(chunk);
      if (call !== undefined) counts.set(call, (counts.get(call) ?? 0) + 1);
      if (toLose > 0 && losable.test(call ?? "")) {
        toLose -= 1;
        loses = true;
      }
      engine.write(chunk);
    });
    engine.on("data", (chunk: Buffer) => void (loses ? client.destroy() : client.write(chunk)));
    client.on("end", () => engine.end());
    engine.on("end", () => client.end());
  });
  server.listen(socketPath);
  await once(server, "listening");
  const cut = (): void => {
    for (const socket of open) socket.destroy();
  };
  const stop = async (): Promise<void> => {
    cut();
    await new Promise((done) => server.close(done));
  };
  const loseReplies = (count: number, which = CHANGES): void => {
    toLose += count;
    losable = which;
  };
  return { at: `unix://${socketPath}`, counts, cut, loseReplies, stop };
}

function callOf(chunk: Buffer): string | undefined {
  const [, method, path] = /^([A-Z]+) (?:\/v[\d.]+)?(\/[^\s?]*)\S* HTTP\/1\.1\r\n/.exec(chunk.toString("latin1", 0, 4_096)) ?? [];
  return method === undefined || path === undefined
    ? undefined
    : `${method} ${path.replace(/\/containers\/[^/]+\/(?=\w+$)/, "/containers/ID/")}`;
}
