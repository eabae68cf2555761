import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

export type MutingProxy = AsyncDisposable & {
  /** Requests for events, as they came. */
  readonly watches: readonly string[];
  /** From now on nothing gets through of what the open event streams bring; new ones are not touched. */
  mute(): void;
};

/** Stands between an engine's client and its socket. */
export async function startMutingProxy(path: string, target: string): Promise<MutingProxy> {
  const watches: string[] = [];
  const streams: Socket[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const engine = connect(target);
    for (const socket of [client, engine]) {
      sockets.add(socket);
      socket.on("error", () => {}).on("close", () => [client, engine].forEach((end) => end.destroy()));
      socket.on("close", () => sockets.delete(socket));
    }
    client.on("data", (chunk) => {
      const [line = ""] = chunk.toString().split("\r\n");
      if (!/ \S*\/events\?/.test(line)) return;
      watches.push(decodeURIComponent(line));
      streams.push(engine);
    });
    client.pipe(engine).pipe(client);
  });
  server.listen(path);
  await once(server, "listening");
  return {
    watches,
    mute: () => streams.splice(0).forEach((engine) => engine.unpipe().resume()),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
