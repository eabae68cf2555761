// Plays rows of the table on a standing fleet, round by round, and measures what each occurrence did.
import { setTimeout as sleep } from "node:timers/promises";

import { type Effect, measureEffect } from "./analysis.ts";
import type { Lag } from "./lag-meter.ts";
import type { FaultRow, Played } from "./fault-row.ts";
import { splitSilences } from "./runs.ts";
import { Scene } from "./scene.ts";
import type { Named, Stage } from "./stage.ts";
import { judgeCase, repeatStarved, type Verdict, worstOf } from "./verdict.ts";

export type CaseResult = Effect & {
  readonly row: string;
  readonly boundMs: number;
  readonly lag: Lag;
  readonly faults: readonly string[];
  readonly also: Readonly<Record<string, number>>;
  readonly verdict: Verdict;
};

export type RoundOptions<F extends Stage<S>, S extends Named> = {
  readonly fleet: F;
  readonly isShort: boolean;
  readonly random: () => number;
  /** @default another worker for each row */
  readonly choose?: ChooseVictims<S>;
};

/** Who is there to be struck: workers with bots that do not lead, in an order by chance, and the leader. */
export type Candidates<S extends Named> = {
  readonly owners: readonly S[];
  readonly leader: S;
};
type Wanted = Pick<FaultRow, "victim" | "restartsNone">;
/** A victim for each of these rows; undefined while there are not enough. */
type ChooseVictims<S extends Named> = (rows: readonly Wanted[], candidates: Candidates<S>) => S[] | undefined;

const SETTLE_MS = 150_000;
/** Tries to find victims, and after how many of them the fleet is given another layout. */
const TRIES = 60;
const RESHUFFLE_EVERY = 15;

/** Plays these rows at the same time, to a victim each, and those that were starved once more. */
export async function playRound<F extends Stage<S>, S extends Named>(
  batch: readonly FaultRow<F, S>[],
  round: number,
  options: RoundOptions<F, S>,
): Promise<CaseResult[]> {
  const results: CaseResult[] = [];
  for (const [index, result] of (await playOnce(batch, round, options)).entries())
    results.push(...(await repeatStarved(result, () => playOnce([batch[index] as FaultRow<F, S>], round, options))));
  return results;
}

async function playOnce<F extends Stage<S>, S extends Named>(
  batch: readonly FaultRow<F, S>[],
  round: number,
  { fleet, isShort, random, choose = chooseOthers }: RoundOptions<F, S>,
): Promise<CaseResult[]> {
  const seats = await takeVictims(batch, fleet, random, choose);
  await fleet.forget();
  await fleet.measureLag();
  const scene = new Scene<F>(fleet, { isShort, random, round });
  const from = fleet.now();
  const played = await Promise.all(
    batch.map(async (row, index): Promise<Played> => {
      const [seat, act] = [seats[index], row.acts[(round + index) % row.acts.length]];
      if (seat === undefined || act === undefined) throw new Error(`Cannot play row ${row.number}: nobody to play it to`);
      try {
        return await act(scene, seat);
      } catch (error) {
        return { bots: [], closedAt: fleet.now(), faults: [messageOf(error)], mend: () => fleet.revive(seat) };
      }
    }),
  );
  for (const { mend } of played) await mend?.();
  const unsettled = await fleet.waitSettled(SETTLE_MS).then(
    () => [],
    (error: unknown) => [messageOf(error)],
  );
  const [lives, lag] = await Promise.all([fleet.runs(), fleet.measureLag()]);
  const breaches = fleet.takeBreaches?.(lives) ?? [];
  const thawMs = batch.find((row) => row.thawMs !== undefined)?.thawMs?.(fleet.bounds);
  // A life that stood still did not run meanwhile.
  const runs = thawMs === undefined ? lives : splitSilences(lives);
  const { everyMs } = fleet;
  const everyBot = new Set([...fleet.bots, ...played.flatMap(({ bots }) => bots)]);
  const all = measureEffect(runs, [...everyBot], { from, to: fleet.now() }, { everyMs });
  return batch.map((row, index) => {
    const { bots, closedAt, faults, also = {}, apart, boundMs = row.boundMs(fleet.bounds, bots.length) } = played[index] as Played;
    const effect = measureEffect(runs, bots, { from, to: closedAt }, { everyMs });
    // What nobody was told to do must not have happened to anybody.
    const spared = fleet.bots.filter((bot) => played.every((other) => other.apart?.bots.includes(bot) !== true));
    const others = measureEffect(runs, spared, { from, to: closedAt }, { everyMs });
    const stopped = measureEffect(runs, apart?.bots ?? [], { from, to: apart?.closedAt ?? closedAt }, { everyMs });
    const isQuiet = batch.every(({ restartsNone }) => restartsNone);
    const found = [...faults, ...unsettled, ...breaches];
    if (isQuiet && others.restarts > 0) found.push(`${others.restarts} restarts, expected none`);
    for (const bot of [...effect.silent, ...stopped.silent]) found.push(`${bot} did not run at the end`);
    if (thawMs !== undefined && all.worstDuplicateMs > thawMs)
      found.push(`a bot ran twice for ${Math.round(all.worstDuplicateMs)} ms, expected at most ${thawMs}`);
    const measured = { ...effect, duplicateMs: all.duplicateMs };
    const [unrunMs = 0, apartMs = 0] = [effect.unrunMs[0], stopped.unrunMs[0]];
    const told = {
      ...also,
      ...(apart !== undefined && apart.bots.length > 0 && { [apart.what]: apartMs, [`${apart.what}Bound`]: apart.boundMs }),
    };
    const worst = { duplicateMs: thawMs === undefined ? all.duplicateMs : 0, lagP99Ms: lag.p99Ms, faults: found };
    const verdict = worstOf(
      judgeCase({ ...worst, unrunMs, boundMs }),
      judgeCase({ ...worst, unrunMs: apartMs, boundMs: apart?.boundMs ?? 0 }),
    );
    return { row: row.number, ...measured, boundMs, lag, faults: found, also: told, verdict };
  });
}

/** A victim for each row. Waits until the fleet is settled and has enough. @throws {Error} when it never has */
export async function takeVictims<S extends Named>(
  rows: readonly Wanted[],
  fleet: Stage<S>,
  random: () => number,
  choose: ChooseVictims<S>,
): Promise<S[]> {
  for (let tries = 0; ; tries++) {
    await fleet.waitSettled(SETTLE_MS);
    const [leader, bySeat, workers] = await Promise.all([fleet.leader(), fleet.botsBySeat(), fleet.workers()]);
    const owners = workers.filter(({ name }) => name !== leader?.name && (bySeat.get(name)?.length ?? 0) > 0);
    const shuffled = owners.map((seat) => ({ seat, key: random() })).toSorted((a, b) => a.key - b.key);
    const chosen = leader && choose(rows, { owners: shuffled.map(({ seat }) => seat), leader });
    if (chosen !== undefined) return chosen;
    if (tries > TRIES) throw new Error(`Cannot find workers with bots that do not lead for ${rows.length} rows`);
    if (tries % RESHUFFLE_EVERY === RESHUFFLE_EVERY - 1) await fleet.reshuffle?.();
    await sleep(1_000);
  }
}

/** Each row another worker, and others are left to take over. */
function chooseOthers<S extends Named>(rows: readonly Wanted[], { owners, leader }: Candidates<S>): S[] | undefined {
  if (owners.length <= rows.filter(({ victim }) => victim === "owner").length) return undefined;
  const left = [...owners];
  return rows.map(({ victim }) => (victim === "owner" ? (left.pop() as S) : leader));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
