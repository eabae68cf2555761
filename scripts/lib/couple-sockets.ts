import type { Socket } from "node:net";

/** Makes two sockets the ends of one connection: when one breaks or closes, so does the other. `open` has both until then. */
export function coupleSockets(client: Socket, server: Socket, open: Set<Socket>): void {
  for (const [socket, other] of [
    [client, server],
    [server, client],
  ] as const) {
    open.add(socket);
    socket.on("error", () => other.destroy());
    socket.on("close", () => (open.delete(socket), other.destroy()));
  }
}
