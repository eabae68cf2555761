// The positive control: without the fence two faults must show duplicates, else the rig could not have seen any.
import type { Place } from "../lib/cache.ts";
import { measureEffect } from "./analysis.ts";
import type { Profile } from "./bounds.ts";
import { FaultFleet } from "./fleet.ts";
import { Scene } from "./scene.ts";
import { stopWorker, cutStore } from "./worker-faults.ts";

export type ControlResult = { readonly row: string; readonly bots: number; readonly duplicateMs: number };

const WORKERS = 4;
const BOTS = 6;

/** Rows 4 and 8 at once, to a worker each, under a fence that kills nothing. In row 8 dockerd is stopped as well: else the worker
 *  itself would stop its bots at R, and the fence would have nothing to do. */
export async function runControl(
  place: Place,
  { profile, random }: { readonly profile: Profile; readonly random: () => number },
): Promise<ControlResult[]> {
  const everyMs = 20;
  const fleet = await FaultFleet.open({ ...place, profile, random, everyMs, workers: WORKERS, bots: BOTS, maxSegment: 6, fence: "off" });
  try {
    await fleet.start();
    const [leader, bySeat] = await Promise.all([fleet.leader(), fleet.botsBySeat()]);
    const [stopped, cut] = fleet.seats.filter((seat) => seat !== leader && (bySeat.get(seat.name)?.length ?? 0) > 0);
    if (stopped === undefined || cut === undefined) throw new Error("Cannot find two workers with bots for the positive control");
    const scene = new Scene(fleet, { isShort: true, random, round: 0 });
    const from = fleet.now();
    await cut.engine.signalDaemon("SIGSTOP");
    const played = await Promise.all([stopWorker(scene, stopped), cutStore(scene, cut)]);
    const runs = await fleet.runs();
    return played.map(({ bots }, index) => {
      const { duplicateMs } = measureEffect(runs, bots, { from, to: fleet.now() }, { everyMs });
      return { row: ["4", "8"][index] ?? "", bots: bots.length, duplicateMs };
    });
  } finally {
    await fleet.stop();
  }
}

/** What is wrong with the control: empty when the rig has seen what it must see. */
export function judgeControl(results: readonly ControlResult[]): string[] {
  const blind = results.filter(({ duplicateMs }) => !(duplicateMs > 0));
  return blind.map(({ row }) => `row ${row} without the fence shows no duplicate: the rig is blind`);
}
