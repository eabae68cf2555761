// The faults of ownership.md in a real cluster: what they do to bots that say every 20 ms that they run.
import { availableParallelism } from "node:os";

import { Chance } from "../test/sim/chance.ts";
import { runClusterControl } from "./faults/cluster/control.ts";
import { chooseOnNodes, planShortCluster } from "./faults/cluster/plan.ts";
import { clusterRows } from "./faults/cluster/rows.ts";
import { renderSection } from "./faults/cluster/section.ts";
import { ClusterStage } from "./faults/cluster/stage.ts";
import { Measured } from "./faults/measured.ts";
import { readRunOptions } from "./faults/options.ts";
import { writePart } from "./faults/page.ts";
import { planFull } from "./faults/plan.ts";
import { playRound } from "./faults/rounds.ts";
import { timedSay, watchInterrupt } from "./lib/interrupt.ts";
import { cleanStaleRuns } from "./lib/run-dir.ts";

const usage = `Usage: npm run faults:cluster -- [options]

  --timings default|ci  the protocol's timings; ci doubles them and their bounds (default: ci)
  --rows 6,8,10+11      only these rows of the table
  --n N                 occurrences of each row (default: as published)
  --short               a selection, once or N times, in less than 4 minutes after the cluster is up
  --no-control          without the positive control
  --seed S              chooses victims (default: from the clock)
  --json FILE           every case as JSON
  --page FILE           the page whose part on Kubernetes is written (default: docs/faults.md after a whole run with --timings default)
  --logs DIR            where the logs of pods go that were replaced, and of all pods after a round that failed
  --from A.json,B.json  plays nothing: judges and tells what earlier runs have saved

A whole run takes some two hours, half an hour of it outages of 10 min; what it has measured so far is in --json's FILE.
Needs what scripts/cluster needs: root, and the images and programs that it builds once.
Exit 0: no duplicate, every bound kept, and the positive control has seen duplicates. 1: not so. 2: wrong usage.`;

const SHAPE = { nodes: 3, pods: 5, bots: 9, everyMs: 20 } as const;
const SEGMENTS = 8;

const options = readRunOptions(
  usage,
  clusterRows.map(({ number }) => number),
);
const interrupt = watchInterrupt();
const say = timedSay();
const measured = new Measured(options, say, interrupt);
const random = new Chance(options.seed).next;

await cleanStaleRuns(say);
try {
  say(`seed ${options.seed}, timings ${options.timings}`);
  await (options.from === undefined ? measure() : measured.recall(options.from));
  process.exitCode = await tellAll();
} catch (error) {
  console.error(error);
  process.exitCode = interrupt.aborted ? 130 : 1;
}

async function measure(): Promise<void> {
  const wanted = clusterRows.filter(({ number }) => options.rows?.includes(number) ?? true);
  const plan = options.isShort ? planShortCluster(wanted, options.seed, options.n) : planFull(wanted, options.n);
  say("bringing a cluster up");
  const fleet = await ClusterStage.open({ ...SHAPE, segments: SEGMENTS, say, profile: options.timings, logDir: options.logs });
  const figures = () => fleet.fleet.sink.ask("figures");
  try {
    await fleet.start();
    say("the fleet is settled");
    await measured.play({
      plan,
      play: async (batch, variant) => {
        const played = await playRound(batch, variant, { fleet, isShort: options.isShort, random, choose: chooseOnNodes });
        if (played.some(({ verdict }) => verdict !== "pass")) await fleet.saveLogs();
        return played;
      },
      figures,
    });
    if (!options.control || interrupt.aborted) return;
    say("positive control: rows 4 and 8 without fence and kubelet");
    measured.control = await runClusterControl(fleet, random);
    measured.figures = await figures();
    await measured.save();
  } catch (error) {
    console.error(await fleet.lastWords(15));
    throw error;
  } finally {
    say("taking the cluster down");
    await fleet.stop();
  }
}

async function tellAll(): Promise<number> {
  const { reports, exitCode } = measured.tell(clusterRows);
  const { control, figures, minutes, page } = measured;
  const setting = { ...SHAPE, profile: options.timings, cores: availableParallelism(), minutes };
  if (page !== undefined) await writePart(page, "cluster", renderSection({ reports, control, ...figures, ...setting }));
  return exitCode;
}
