import type { Packet } from "./packet.ts";

/** One life of a bot's process, as its datagrams tell it. Times are CLOCK_BOOTTIME in ms. */
export type Run = {
  readonly bot: string;
  readonly epoch: number;
  readonly run: string;
  /** The process ran at least from `first` to `last`, both included. */
  readonly first: number;
  readonly last: number;
  /** Datagrams that came. */
  readonly count: number;
  readonly maxSeq: number;
  /** Longest time between two datagrams that came one after the other. */
  readonly maxGap: number;
  /** Its silences of a second and more: it was frozen, or its machine was. The latest ones. */
  readonly silences?: readonly { readonly from: number; readonly to: number }[];
  /** Whether it said goodbye: it was told to end. */
  readonly ended: boolean;
};

/** Adds one datagram to what is known; datagrams may come late and in any order. */
export function foldPacket(known: Run | undefined, packet: Packet): Run {
  const { bot, epoch, run, seq, at, last } = packet;
  if (known === undefined) return { bot, epoch, run, first: at, last: at, count: 1, maxSeq: seq, maxGap: 0, ended: last };
  const isSilence = at - known.last >= SILENCE_MS;
  return {
    ...known,
    ...(isSilence && { silences: [...(known.silences ?? []), { from: known.last, to: at }].slice(-MAX_SILENCES) }),
    first: Math.min(known.first, at),
    last: Math.max(known.last, at),
    count: known.count + 1,
    maxSeq: Math.max(known.maxSeq, seq),
    maxGap: Math.max(known.maxGap, at - known.last),
    ended: known.ended || last,
  };
}

/** Lives without their silences: what stood still did not run. */
export function splitSilences(runs: readonly Run[]): Run[] {
  return runs.flatMap((run) => {
    const { silences = [], ...life } = run;
    const starts = [run.first, ...silences.map(({ to }) => to)];
    const ends = [...silences.map(({ from }) => from), run.last];
    // Inside a piece nothing was silent for longer than that; the silences themselves are told by its ends.
    const maxGap = silences.length > 0 ? Math.min(run.maxGap, SILENCE_MS) : run.maxGap;
    return starts.map((first, at) => ({ ...life, first, last: ends[at] as number, maxGap }));
  });
}

const SILENCE_MS = 1_000;
const MAX_SILENCES = 20;

/** Datagrams that were sent and never came: gaps in the sequence numbers. Those after the last that came are not known. */
export function lostPackets(runs: Iterable<Run>): number {
  let lost = 0;
  for (const { maxSeq, count } of runs) lost += maxSeq + 1 - count;
  return lost;
}
