// Plays rows of the table on a standing fleet, round by round, and measures what each occurrence did.
import { setTimeout as sleep } from "node:timers/promises";

import { type Effect, measureEffect } from "./analysis.ts";
import type { FaultFleet } from "./fleet.ts";
import type { Lag } from "./lag-meter.ts";
import type { FaultRow, Played } from "./rows.ts";
import { Scene } from "./scene.ts";
import type { Seat } from "./seat.ts";
import { judgeCase, repeatStarved, type Verdict, worstOf } from "./verdict.ts";

export type CaseResult = Effect & {
  readonly row: string;
  readonly boundMs: number;
  readonly lag: Lag;
  readonly faults: readonly string[];
  readonly also: Readonly<Record<string, number>>;
  readonly verdict: Verdict;
};

export type RoundOptions = {
  readonly fleet: FaultFleet;
  readonly isShort: boolean;
  readonly random: () => number;
};

const SETTLE_MS = 150_000;

/** Plays these rows at the same time, to a victim each, and those that were starved once more. */
export async function playRound(batch: readonly FaultRow[], round: number, options: RoundOptions): Promise<CaseResult[]> {
  const results: CaseResult[] = [];
  for (const [index, result] of (await playOnce(batch, round, options)).entries())
    results.push(...(await repeatStarved(result, () => playOnce([batch[index] as FaultRow], round, options))));
  return results;
}

async function playOnce(batch: readonly FaultRow[], round: number, { fleet, isShort, random }: RoundOptions): Promise<CaseResult[]> {
  const seats = await takeVictims(batch, fleet, random);
  await fleet.hub.sink.ask("forget");
  await fleet.measureLag();
  const scene = new Scene(fleet, { isShort, random, round });
  const from = fleet.now();
  const played = await Promise.all(
    batch.map(async (row, index): Promise<Played> => {
      const [seat, act] = [seats[index], row.acts[(round + index) % row.acts.length]];
      if (seat === undefined || act === undefined) throw new Error(`Cannot play row ${row.number}: nobody to play it to`);
      try {
        return await act(scene, seat);
      } catch (error) {
        return { bots: [], closedAt: fleet.now(), faults: [messageOf(error)], mend: () => seat.start() };
      }
    }),
  );
  for (const { mend } of played) await mend?.();
  const unsettled = await fleet.waitSettled(SETTLE_MS).then(
    () => [],
    (error: unknown) => [messageOf(error)],
  );
  const [runs, lag] = await Promise.all([fleet.runs(), fleet.measureLag()]);
  const { everyMs } = fleet.options;
  const everyBot = new Set([...fleet.bots, ...played.flatMap(({ bots }) => bots)]);
  const all = measureEffect(runs, [...everyBot], { from, to: fleet.now() }, { everyMs });
  return batch.map((row, index) => {
    const { bots, closedAt, faults, also = {}, apart, boundMs = row.boundMs(fleet.bounds, bots.length) } = played[index] as Played;
    const effect = measureEffect(runs, bots, { from, to: closedAt }, { everyMs });
    // What nobody was told to do must not have happened to anybody.
    const spared = fleet.bots.filter((bot) => played.every((other) => other.apart?.bots.includes(bot) !== true));
    const others = measureEffect(runs, spared, { from, to: closedAt }, { everyMs });
    const stopped = measureEffect(runs, apart?.bots ?? [], { from, to: closedAt }, { everyMs });
    const isQuiet = batch.every(({ restartsNone }) => restartsNone);
    const found = [...faults, ...unsettled];
    if (isQuiet && others.restarts > 0) found.push(`${others.restarts} restarts, expected none`);
    for (const bot of [...effect.silent, ...stopped.silent]) found.push(`${bot} did not run at the end`);
    const measured = { ...effect, duplicateMs: all.duplicateMs };
    const [unrunMs = 0, apartMs = 0] = [effect.unrunMs[0], stopped.unrunMs[0]];
    const told = {
      ...also,
      ...(apart !== undefined && apart.bots.length > 0 && { [apart.what]: apartMs, [`${apart.what}Bound`]: apart.boundMs }),
    };
    const worst = { duplicateMs: all.duplicateMs, lagP99Ms: lag.p99Ms, faults: found };
    const verdict = worstOf(
      judgeCase({ ...worst, unrunMs, boundMs }),
      judgeCase({ ...worst, unrunMs: apartMs, boundMs: apart?.boundMs ?? 0 }),
    );
    return { row: row.number, ...measured, boundMs, lag, faults: found, also: told, verdict };
  });
}

/** A victim for each row: as the row wants it, and each another one. Waits until the fleet is settled and has enough. */
async function takeVictims(batch: readonly FaultRow[], fleet: FaultFleet, random: () => number): Promise<Seat[]> {
  const wanted = batch.filter(({ victim }) => victim === "owner").length;
  for (let tries = 0; ; tries++) {
    await fleet.waitSettled(SETTLE_MS);
    const [leader, bySeat] = await Promise.all([fleet.leader(), fleet.botsBySeat()]);
    const owners = fleet.seats.filter((seat) => seat !== leader && (bySeat.get(seat.name)?.length ?? 0) > 0);
    // Others must be left to take over.
    if (leader !== undefined && owners.length > wanted) {
      const shuffled = owners.map((seat) => ({ seat, key: random() })).toSorted((a, b) => a.key - b.key);
      return batch.map(({ victim }) => (victim === "owner" ? (shuffled.pop()?.seat as Seat) : leader));
    }
    if (tries > 60) throw new Error(`Cannot find ${wanted} workers with bots that do not lead`);
    await sleep(1_000);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
