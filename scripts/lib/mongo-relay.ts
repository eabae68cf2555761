import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

import { coupleSockets } from "./couple-sockets.ts";
import { splitMessages } from "./mongo-wire.ts";

/** What becomes of the messages of one connection. */
export interface Judge {
  /** A reply of its own to a request, which then does not reach the server. */
  readonly answer?: (request: Buffer) => Buffer | undefined;
  /** Whether the server's reply is lost, and its connection with it. */
  readonly loses?: (reply: Buffer) => boolean;
}

export interface MongoRelay {
  readonly port: number;
  /** Breaks every connection and takes no new one. */
  readonly goAway: () => Promise<void>;
  readonly comeBack: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** Stands between clients and the MongoDB on `target`, each connection under a judge of its own. */
export async function relayMongo(target: number, judge: () => Judge): Promise<MongoRelay> {
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(target, "127.0.0.1");
    coupleSockets(client, upstream, open);
    const { answer = () => undefined, loses = () => false } = judge();
    const onRequest = splitMessages((message) => {
      const own = answer(message);
      if (own === undefined) upstream.write(message);
      else client.write(own);
    });
    const onReply = splitMessages((message) => void (loses(message) ? client.destroy() : client.write(message)));
    client.on("data", onRequest);
    upstream.on("data", onReply);
  });
  const listen = async (port: number): Promise<void> => {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
  };
  const goAway = async (): Promise<void> => {
    for (const socket of open) socket.destroy();
    if (server.listening) await new Promise((done) => server.close(done));
  };
  await listen(0);
  const { port } = server.address() as AddressInfo;
  return { port, goAway, comeBack: () => listen(port), stop: goAway };
}
