import type { Run } from "./runs.ts";
import type { Books } from "./stage.ts";

export type Expected = {
  /** Workers that must each have a living session, by name. */
  readonly names: readonly string[];
  readonly bots: readonly string[];
  /** Bots of which nothing may run. */
  readonly disabled?: ReadonlySet<string>;
  readonly everyMs: number;
  /** Moves, by which the load becomes more even, may go on. */
  readonly mayMove?: boolean;
};

/** What keeps a fleet from being settled; empty when every worker lives, every bot runs once, and nothing is to be moved. */
export function findUnsettled({ workers, segments, leader }: Books, runs: readonly Run[], now: number, expected: Expected): string[] {
  const { names, bots, disabled = new Set(), everyMs, mayMove = false } = expected;
  const living = new Map(workers.filter(({ state }) => state === "up").map(({ _id, pod }) => [_id as string, pod]));
  const faults: string[] = [];
  const pods = [...living.values()];
  for (const name of names) if (!pods.includes(name)) faults.push(`${name}: no living session`);
  if (leader === null || !living.has(leader)) faults.push("no living leader");
  for (const { _id, state, owner, target } of segments)
    if (owner === null || !living.has(owner) || (!mayMove && (state !== "assigned" || target !== null)))
      faults.push(`segment ${_id}: ${state}, owner ${living.get(owner ?? "") ?? "nobody alive"}, target ${target ?? "none"}`);
  if (!mayMove) faults.push(...uneven(segments, leader, [...living.keys()]));
  const counts = new Map<string, number>();
  for (const { bot, last } of runs) if (now - last < Math.max(500, 5 * everyMs)) counts.set(bot, (counts.get(bot) ?? 0) + 1);
  for (const bot of bots) {
    const [lives, wanted] = [counts.get(bot) ?? 0, disabled.has(bot) ? 0 : 1];
    if (lives !== wanted) faults.push(`${bot}: ${lives} lives send, expected ${wanted}`);
  }
  return faults;
}

/** A move by which the load becomes more even is still to come. The leader gives and gets nothing. Source: core/spread.ts. */
function uneven(segments: Books["segments"], leader: string | null, living: readonly string[]): string[] {
  const loads = new Map(living.map((sid) => [sid, 0]));
  for (const { owner } of segments) if (owner !== null) loads.set(owner, (loads.get(owner) ?? 0) + 1);
  const least = Math.min(...[...loads].filter(([sid]) => sid !== leader).map(([, load]) => load));
  return Math.max(...loads.values()) - least >= MOVE_PAYS ? ["a segment is about to move to a worker with fewer"] : [];
}

const MOVE_PAYS = 2;
