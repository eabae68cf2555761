import { crc32 } from "node:zlib";
import type { LogFrame } from "./log-frames.ts";

/** Frames that are remembered. */
const REMEMBERED = 16_384;
/** A line may be stamped so much earlier than one that was written before it. */
const MARGIN_SECONDS = 10;
const STAMP = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) /;
const STAMP_BYTES = 40;
const NEWLINE = 0x0a;

/** How far into a container's log a reader has come, so that it may ask again and get nothing twice and miss nothing.
 *  The Engine's `since` alone gives neither, for it goes by time stamps, which repeat (the parts of one long line share
 *  theirs) and are not in order (stdout and stderr are stamped before they are written). So the reader asks from somewhat
 *  earlier on, and a frame that is remembered is left out. What tells frames apart: stream, nanosecond, text, and the part
 *  of its line. */
export class LogPlace {
  /** Keys and their stamps, the oldest first. */
  readonly #seen = new Map<string, string>();
  readonly #parts = new Map<number, { readonly stamp: string; readonly part: number }>();
  /** Whether all that was ever written is remembered. */
  #isWhole: boolean;

  /** @param isWhole the first reply begins with the first line of the log */
  constructor(isWhole: boolean) {
    this.#isWhole = isWhole;
  }

  get isEmpty(): boolean {
    return this.#seen.size === 0;
  }

  /** The Engine's `since` for a question whose answer is taken whatever it begins with: the earliest stamp of the younger
   *  half of what is remembered. Undefined: everything is to be told (again). */
  resume(): string | undefined {
    this.#parts.clear();
    return this.#isWhole ? undefined : this.#earliest(Math.ceil(this.#seen.size / 2), 0);
  }

  /** A `since` that leaves out nothing of the last `frames` and what follows them: it only spares the Engine older files. */
  resumeNear(frames: number): string | undefined {
    this.#parts.clear();
    return this.#earliest(frames, MARGIN_SECONDS);
  }

  #earliest(frames: number, marginSeconds: number): string | undefined {
    const stamps = [...this.#seen.values()].slice(-frames);
    const [seconds, nanos] = (stamps.sort(byTime)[0] ?? "").split(".");
    return nanos === undefined ? undefined : `${Number(seconds) - marginSeconds}.${nanos}`;
  }

  /** Whether the frame was taken before. To be asked of the first frame of an answer only, since it counts no parts. */
  has({ stream, payload }: LogFrame): boolean {
    const read = readStamp(payload);
    return read !== undefined && this.#seen.has(keyOf(stream, read, 0));
  }

  /** What the bot wrote with this frame; undefined when that was taken before. */
  take({ stream, payload }: LogFrame): Buffer | undefined {
    const read = readStamp(payload);
    if (read === undefined) return payload; // no engine we know leaves the stamp out; its bytes are worth more than our order
    const key = keyOf(stream, read, this.#partOf(stream, read.head, read.text));
    if (this.#seen.has(key)) return undefined;
    this.#seen.set(key, read.since);
    if (this.#seen.size >= 2 * REMEMBERED) this.#forgetHalf();
    return read.text;
  }

  /** A line of more than 16 KiB comes in parts with one time stamp, and they may well be equal. */
  #partOf(stream: number, stamp: string, text: Buffer): number {
    const before = this.#parts.get(stream);
    const part = before?.stamp === stamp ? before.part + 1 : 0;
    if (text.at(-1) === NEWLINE) this.#parts.delete(stream);
    else this.#parts.set(stream, { stamp, part });
    return part;
  }

  #forgetHalf(): void {
    this.#isWhole = false;
    for (const oldest of this.#seen.keys()) {
      if (this.#seen.size <= REMEMBERED) break;
      this.#seen.delete(oldest);
    }
  }
}

type Read = { readonly head: string; readonly text: Buffer; readonly since: string };

function readStamp(payload: Buffer): Read | undefined {
  const [head, seconds = "", fraction = "", zone = ""] = STAMP.exec(payload.toString("latin1", 0, STAMP_BYTES)) ?? [];
  if (head === undefined) return undefined;
  const since = `${Math.floor(Date.parse(`${seconds}${zone}`) / 1_000)}.${fraction.padEnd(9, "0")}`;
  return { head, text: payload.subarray(head.length), since };
}

function keyOf(stream: number, { head, text }: Read, part: number): string {
  return `${stream} ${head}${part} ${text.length} ${crc32(text)}`;
}

function byTime(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}
