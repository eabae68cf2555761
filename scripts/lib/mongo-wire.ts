// As much of MongoDB's wire protocol as proxies need: messages, and the one form that drivers of our time give to commands,
// OP_MSG without compression.
import { BSON, type Document } from "mongodb";

const OP_MSG = 2013;
const HEADER = 16;

/** Gathers bytes and gives each message once it is complete. */
export function splitMessages(onMessage: (message: Buffer) => void): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= HEADER && rest.length >= rest.readInt32LE(0)) {
      const message = rest.subarray(0, rest.readInt32LE(0));
      rest = rest.subarray(message.length);
      onMessage(message);
    }
  };
}

/** What tells requests apart. */
export const requestId = (message: Buffer): number => message.readInt32LE(4);
/** Which request a reply answers. */
export const responseTo = (message: Buffer): number => message.readInt32LE(8);

/** The command that a message holds: the section of kind 0, which drivers send first. */
export function commandOf(message: Buffer): Document | undefined {
  if (message.readInt32LE(12) !== OP_MSG || message[HEADER + 4] !== 0) return undefined;
  const size = message.readInt32LE(HEADER + 5);
  return BSON.deserialize(message.subarray(HEADER + 5, HEADER + 5 + size));
}

export function replyTo(request: Buffer, document: Document): Buffer {
  const body = BSON.serialize(document);
  const head = Buffer.alloc(HEADER + 5);
  head.writeInt32LE(head.length + body.length, 0);
  head.writeInt32LE(requestId(request), 8);
  head.writeInt32LE(OP_MSG, 12);
  return Buffer.concat([head, body]);
}
