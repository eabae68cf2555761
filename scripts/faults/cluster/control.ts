// The positive control: without the fence, and without the kubelet that looks after it, two faults must show duplicates.
import type { Pod } from "../../lib/cluster/pods.ts";
import { measureEffect } from "../analysis.ts";
import type { ControlResult } from "../control.ts";
import { takeVictims } from "../rounds.ts";
import { Scene } from "../scene.ts";
import { chooseOnNodes } from "./plan.ts";
import { resumeParts, signalParts } from "./pod-processes.ts";
import type { ClusterStage } from "./stage.ts";

/** Rows 4 and 8 at once, to a worker each on nodes of their own, whose fence stands still and whose kubelet probes nothing. In row
 *  8 dockerd is stopped as well: else the worker itself would stop its bots at R, and the fence would have nothing to do. */
export async function runClusterControl(fleet: ClusterStage, random: () => number): Promise<ControlResult[]> {
  const rows = [
    { victim: "node", restartsNone: false },
    { victim: "owner", restartsNone: false },
  ] as const;
  const [cut, stopped] = (await takeVictims(rows, fleet, random, chooseOnNodes)) as [Pod, Pod];
  const scene = new Scene(fleet, { isShort: true, random, round: 0 });
  const from = fleet.now();
  const nodes = [...new Set([stopped.node, cut.node])];
  try {
    for (const node of nodes) await fleet.cluster.signal(node, "kubelet", "STOP");
    const [first, second] = await Promise.all([scene.before(stopped), scene.before(cut)]);
    await signalParts(stopped, ["fence", "runtime"], "SIGSTOP");
    await signalParts(cut, ["fence", "dockerd"], "SIGSTOP");
    await Promise.all([fleet.cluster.cut(cut.node, "machine"), fleet.cluster.cut(cut.node, "api")]);
    const limitMs = fleet.bounds.sessionEndMs(fleet.bots.length);
    await Promise.all([first, second].map(({ sid, bots, since }) => scene.takenOver(sid, bots, since, limitMs)));
    await scene.pause(1_000);
    const runs = await fleet.runs();
    return [
      { row: "4", bots: first.bots },
      { row: "8", bots: second.bots },
    ].map(({ row, bots }) => {
      const { duplicateMs } = measureEffect(runs, bots, { from, to: fleet.now() }, { everyMs: fleet.everyMs });
      return { row, bots: bots.length, duplicateMs };
    });
  } finally {
    await fleet.cluster.heal();
    for (const pod of [stopped, cut]) await resumeParts(pod);
    for (const node of nodes) await fleet.cluster.signal(node, "kubelet", "CONT");
  }
}
