import type { FaultRow } from "./rows.ts";

/** Rows that happen at the same time, to a worker each. */
export type Batch = readonly FaultRow[];

/** Each row as often as it is published, or `n` times; in turns, so that a run that is cut short has something of each. */
export function planFull(rows: readonly FaultRow[], n: number | undefined): Batch[] {
  const turns: Batch[][] = [];
  for (const row of rows) {
    const times = n ?? row.n;
    for (let done = 0, turn = 0; done < times; done += row.atOnce, turn++)
      (turns[turn] ??= []).push(Array<FaultRow>(Math.min(row.atOnce, times - done)).fill(row));
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
