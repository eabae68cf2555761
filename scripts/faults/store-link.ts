import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

import type { Document } from "mongodb";

import { coupleSockets } from "../lib/couple-sockets.ts";
import { commandOf, requestId, responseTo, splitMessages } from "../lib/mongo-wire.ts";

/** The protocol's writes whose reply can be lost. Source: ownership.md "Documents and operations". */
export type LosableWrite = "O1" | "O2" | "O5";
type ToLose = { readonly write: LosableWrite; readonly id: string | undefined };

/** The one way from a runtime to MongoDB, which can be cut, slowed, or made to lose a reply.
 *
 *  A cut holds bytes back as a network that drops packets does: nobody gets a reset, calls under way get no answer, and what
 *  was sent meanwhile arrives after all once the way is open again. */
export class StoreLink {
  readonly #target: number;
  readonly #host: string;
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  readonly #armed: ToLose[] = [];
  /** Armed ones, and those whose reply has not come yet. */
  readonly #unlost = new Set<ToLose>();
  #isCut = false;
  #delayMs = 0;

  private constructor(target: number, host: string) {
    this.#target = target;
    this.#host = host;
    this.#server = createServer((client) => this.#couple(client));
  }

  /** @param target port of the MongoDB server on this machine
   *  @param host the address of this machine where that server listens and this one shall */
  static async open(target: number, host = "127.0.0.1"): Promise<StoreLink> {
    const link = new StoreLink(target, host);
    link.#server.listen(0, host);
    await once(link.#server, "listening");
    return link;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  cut(): void {
    this.#isCut = true;
    for (const socket of this.#open) socket.pause();
  }

  heal(): void {
    this.#isCut = false;
    for (const socket of this.#open) socket.resume();
  }

  /** Every message takes so much longer, in both directions. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  /** The next such write is carried out and its reply swallowed. `id`: only a write to that document. */
  loseReply(write: LosableWrite, id?: string): void {
    const toLose = { write, id };
    this.#armed.push(toLose);
    this.#unlost.add(toLose);
  }

  /** Whether every reply that was to be lost has been. */
  get isLost(): boolean {
    return this.#unlost.size === 0;
  }

  /** What was to be lost and was not yet is delivered after all. */
  disarm(): void {
    this.#armed.length = 0;
    this.#unlost.clear();
  }

  async stop(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    await new Promise((done) => this.#server.close(done));
  }

  #couple(client: Socket): void {
    const upstream = connect(this.#target, this.#host);
    coupleSockets(client, upstream, this.#open);
    const losing = new Map<number, ToLose>();
    const forward = this.#pipe(upstream);
    const back = this.#pipe(client);
    client.on(
      "data",
      splitMessages((message) => {
        const toLose = this.#takeArmed(message);
        if (toLose !== undefined) losing.set(requestId(message), toLose);
        forward(message);
      }),
    );
    upstream.on(
      "data",
      splitMessages((message) => {
        const toLose = losing.get(responseTo(message));
        if (toLose === undefined) back(message);
        else {
          losing.delete(responseTo(message));
          this.#unlost.delete(toLose);
        }
      }),
    );
    if (this.#isCut) {
      client.pause();
      upstream.pause();
    }
  }

  /** Writes in order, each message after the delay of its moment and never before the one ahead of it. */
  #pipe(to: Socket): (message: Buffer) => void {
    let lastDue = 0;
    return (message) => {
      const now = performance.now();
      const due = Math.max(lastDue, now + this.#delayMs);
      lastDue = due;
      if (due <= now) to.write(message);
      else setTimeout(() => to.destroyed || to.write(message), due - now);
    };
  }

  #takeArmed(message: Buffer): ToLose | undefined {
    if (this.#armed.length === 0) return undefined;
    const command = commandOf(message);
    const kind = command === undefined ? undefined : writeOf(command);
    const index = this.#armed.findIndex(({ write, id }) => write === kind && isTo(command, id));
    return index < 0 ? undefined : this.#armed.splice(index, 1)[0];
  }
}

/** Whether a command of `findAndModify` changes that document; undefined is any. */
export function isTo(command: Document | undefined, id: string | undefined): boolean {
  return id === undefined || command?.["query"]?._id === id;
}

/** Which of the protocol's writes a command is, by what it changes. */
export function writeOf(command: Document): LosableWrite | undefined {
  if (command["findAndModify"] === "runtime.workers") return command["update"]?.$inc?.hbSeq === undefined ? undefined : "O1";
  if (command["update"] !== "runtime.segments") return undefined;
  const set = command["updates"]?.[0]?.u?.$set as Document | undefined;
  if (set?.["state"] === "assigned") return "O2";
  // O3' clears the target as well; a release does not.
  return set?.["state"] === "free" && !("target" in set) ? "O5" : undefined;
}
