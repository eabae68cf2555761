import type { BotId, SegmentId } from "./ids.ts";

const table = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

const encoder = new TextEncoder();

/** IEEE crc32 of the UTF-8 bytes, unsigned. */
export function crc32(text: string): number {
  let c = 0xffffffff;
  for (const byte of encoder.encode(text)) c = (table[(c ^ byte) & 0xff] ?? 0) ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

/** The segment a *new* bot gets. Known bots keep the one in their placement, whatever MAX_SEGMENT says now. */
export function segmentOf(id: BotId, maxSegment: number): SegmentId {
  return (crc32(id) % maxSegment) as SegmentId;
}
