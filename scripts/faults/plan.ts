import type { FaultRow } from "./fault-row.ts";

/** Rows that happen at the same time, to a worker each. */
export type Batch<R = FaultRow> = readonly R[];

/** Each row as often as it is published, or `n` times; in turns, so that a run that is cut short has something of each. */
export function planFull<R extends Pick<FaultRow, "n" | "atOnce">>(rows: readonly R[], n: number | undefined): Batch<R>[] {
  const turns: Batch<R>[][] = [];
  for (const row of rows) {
    const times = n ?? row.n;
    for (let done = 0, turn = 0; done < times; done += row.atOnce, turn++)
      (turns[turn] ??= []).push(Array<R>(Math.min(row.atOnce, times - done)).fill(row));
  }
  return turns.flat();
}

/** Quick rows each time; of those that wait for L two at once, and of the rest one that the seed picks. */
const ALWAYS = [["1"], ["3"], ["16"], ["19"], ["20"], ["21"], ["23"], ["12"], ["18"], ["15"], ["4", "8"]];
const IN_TURN = [["2"], ["13"], ["14"], ["22"]];

/** What the gate plays within its time. */
export function planShort(rows: readonly FaultRow[], seed: number): Batch[] {
  const turn = IN_TURN[seed % IN_TURN.length] ?? [];
  const find = (number: string): FaultRow[] => rows.filter((row) => row.number === number);
  return [...ALWAYS, turn].map((batch) => batch.flatMap(find)).filter((batch) => batch.length > 0);
}
