/** Reads the Engine's log frames (8 bytes of header: stream, 3 zeros, length) and keeps the last `maxBytes` of what
 *  stdout and stderr said, from the start of a line. A line longer than all of that is cut in its middle. */
export async function readLogTail(body: AsyncIterable<Buffer>, maxBytes: number): Promise<string> {
  let tail = Buffer.alloc(0);
  let rest = Buffer.alloc(0);
  for await (const chunk of body) {
    rest = Buffer.concat([rest, chunk]);
    const payloads: Buffer[] = [tail];
    for (;;) {
      if (rest.length < 8) break;
      const end = 8 + rest.readUInt32BE(4);
      if (rest.length < end) break;
      payloads.push(rest.subarray(8, end));
      rest = rest.subarray(end);
    }
    const all = Buffer.concat(payloads);
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
