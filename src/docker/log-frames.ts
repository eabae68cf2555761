/** One frame of the Engine's log stream: what one write of the bot became. */
export type LogFrame = {
  /** 1: stdout, 2: stderr. */
  readonly stream: number;
  readonly payload: Buffer;
};

const HEADER_BYTES = 8;

/** Cuts the Engine's log stream into frames (8 bytes of header: stream, 3 zeros, length), however its chunks fall. Holds
 *  no more than one unfinished frame. */
export class LogFrameReader {
  #rest = Buffer.alloc(0);

  /** The frames that this chunk completes. */
  push(chunk: Buffer): LogFrame[] {
    this.#rest = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk]);
    const frames: LogFrame[] = [];
    let at = 0;
    while (this.#rest.length - at >= HEADER_BYTES) {
      const end = at + HEADER_BYTES + this.#rest.readUInt32BE(at + 4);
      if (this.#rest.length < end) break;
      frames.push({ stream: this.#rest.readUInt8(at), payload: this.#rest.subarray(at + HEADER_BYTES, end) });
      at = end;
    }
    this.#rest = this.#rest.subarray(at);
    return frames;
  }
}
