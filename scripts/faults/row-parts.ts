// What the rows of both rigs have in common: bounds, and rows that differ only in how they are made.
import type { Bounds } from "./bounds.ts";

/** What a stop of a beacon takes at most: its grace. */
const STOP_MS = 1_000;
const sessionEnd = (bounds: Bounds, bots: number): number => bounds.sessionEndMs(bots);
export const handOver = (bounds: Bounds, bots: number): number => bounds.handOverMs(STOP_MS, bots);

export const untouched = { atOnce: 1, restartsNone: true, boundMs: () => 0, formula: "0" } as const;
export const ended = { restartsNone: false, boundMs: sessionEnd, formula: "L + 1 + 1 + start" } as const;
const moved = { victim: "owner", atOnce: 1, restartsNone: false, boundMs: handOver } as const;

export const lostCreate = {
  number: "19",
  fault: "create times out but lands",
  expected: "found by label and epoch",
  n: 5,
  ...moved,
  formula: "stop + 2 + start",
} as const;
export const lostReply = {
  number: "20",
  fault: "renewal, O2 or O5 applied, reply lost",
  expected: "read again; the retry is idempotent",
  n: 6,
  ...moved,
  formula: "O1: 0; O2, O5: as row 18",
} as const;
export const fakedUptime = {
  number: "23",
  fault: "/proc/uptime faked, reset, or of another boot",
  expected: "lapsed at once",
  n: 5,
  victim: "owner",
  atOnce: 1,
  ...ended,
} as const;
