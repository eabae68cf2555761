/** One datagram of a beacon; beacon.c has the layout. Times are CLOCK_BOOTTIME in ms with its fractions. */
export type Packet = {
  readonly bot: string;
  readonly epoch: number;
  /** One life of one process: drawn at random at its start, in hex. */
  readonly run: string;
  /** Counts from 0 within a run. */
  readonly seq: number;
  readonly at: number;
  /** Whether the beacon was told to end and sends nothing after it. */
  readonly last: boolean;
};

const BOT_AT = 40;

/** Undefined for what no beacon sends. */
export function readPacket(bytes: Buffer): Packet | undefined {
  if (bytes.length <= BOT_AT || bytes.toString("latin1", 0, 4) !== "BCN1") return undefined;
  return {
    bot: bytes.toString("utf8", BOT_AT),
    epoch: Number(bytes.readBigUInt64LE(24)),
    run: bytes.readBigUInt64LE(8).toString(16).padStart(16, "0"),
    seq: Number(bytes.readBigUInt64LE(16)),
    at: Number(bytes.readBigUInt64LE(32)) / 1e6,
    last: bytes.readUInt32LE(4) === 1,
  };
}
