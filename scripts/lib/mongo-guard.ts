// Stands between a client and a MongoDB and refuses writes as mongod refuses them without the privilege. It knows the
// one message form that a driver of our time uses for commands, OP_MSG without compression.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

import { BSON } from "mongodb";

export interface MongoGuard {
  readonly port: number;
  /** "command database.collection" of each write that was refused, oldest first. */
  readonly refused: readonly string[];
  readonly stop: () => Promise<void>;
}

const OP_MSG = 2013;
const HEADER = 16;
const writes = new Set(
  [
    ["insert", "update", "delete", "findAndModify", "findandmodify", "bulkWrite"],
    ["create", "drop", "collMod", "createIndexes", "dropIndexes", "renameCollection", "convertToCapped"],
  ].flat(),
);

/** Lets everything pass to the server on `target` but the writes for which `mayWrite` says no. */
export async function guardMongo(target: number, mayWrite: (database: string, collection: string) => boolean): Promise<MongoGuard> {
  const refused: string[] = [];
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(target, "127.0.0.1");
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      open.add(socket);
      socket.on("error", () => other.destroy());
      socket.on("close", () => (open.delete(socket), other.destroy()));
    }
    upstream.pipe(client);
    let rest = Buffer.alloc(0);
    client.on("data", (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= HEADER && rest.length >= rest.readInt32LE(0)) {
        const message = rest.subarray(0, rest.readInt32LE(0));
        rest = rest.subarray(message.length);
        const write = forbiddenWrite(message, mayWrite);
        if (write === undefined) upstream.write(message);
        else {
          refused.push(write);
          client.write(refusal(message.readInt32LE(4), write));
        }
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const stop = async () => {
    for (const socket of open) socket.destroy();
    if (server.listening) await new Promise((done) => server.close(done));
  };
  return { port: (server.address() as AddressInfo).port, refused, stop };
}

function forbiddenWrite(message: Buffer, mayWrite: (db: string, name: string) => boolean): string | undefined {
  // The command itself is the section of kind 0; drivers send it first.
  if (message.readInt32LE(12) !== OP_MSG || message[HEADER + 4] !== 0) return undefined;
  const size = message.readInt32LE(HEADER + 5);
  const command = BSON.deserialize(message.subarray(HEADER + 5, HEADER + 5 + size));
  const [verb = ""] = Object.keys(command);
  const database = String(command["$db"]);
  const into = verb === "aggregate" ? outputOf(command["pipeline"]) : writes.has(verb) ? String(command[verb]) : undefined;
  if (into === undefined || mayWrite(database, into)) return undefined;
  return `${verb} ${database}.${into}`;
}

// $out and $merge make a write of a read; where they write to is not worth the parsing, for we use neither.
const outputOf = (pipeline: unknown): string | undefined =>
  Array.isArray(pipeline) && pipeline.some((stage: object) => "$out" in stage || "$merge" in stage) ? "$out" : undefined;

function refusal(responseTo: number, write: string): Buffer {
  const body = BSON.serialize({ ok: 0, errmsg: `not authorized to execute ${write}`, code: 13, codeName: "Unauthorized" });
  const head = Buffer.alloc(HEADER + 5);
  head.writeInt32LE(head.length + body.length, 0);
  head.writeInt32LE(responseTo, 8);
  head.writeInt32LE(OP_MSG, 12);
  return Buffer.concat([head, body]);
}
