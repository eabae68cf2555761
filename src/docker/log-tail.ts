import { LogFrameReader } from "./log-frames.ts";

/** Reads the Engine's log frames and keeps the last `maxBytes` of what
 *  stdout and stderr said, from the start of a line. A line longer than all of that is cut in its middle. */
export async function readLogTail(body: AsyncIterable<Buffer>, maxBytes: number): Promise<string> {
  let tail = Buffer.alloc(0);
  const reader = new LogFrameReader();
  for await (const chunk of body) {
    const all = Buffer.concat([tail, ...reader.push(chunk).map(({ payload }) => payload)]);
    // One byte more than asked for, to see whether the cut falls on the start of a line.
    tail = all.subarray(Math.max(0, all.length - maxBytes - 1));
  }
  if (tail.length <= maxBytes) return tail.toString("utf8");
  const newline = tail.indexOf(0x0a);
  if (newline >= 0 && newline < tail.length - 1) return tail.subarray(newline + 1).toString("utf8");
  // No line starts in here. The cut may have split a character: its later bytes begin with the bits 10.
  let start = tail.length - maxBytes;
  while (start < tail.length && ((tail[start] ?? 0) & 0xc0) === 0x80) start++;
  return tail.subarray(start).toString("utf8");
}
