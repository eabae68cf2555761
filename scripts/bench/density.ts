// What a bot costs a node: as one of a worker's, and as a pod of its own. Both on the same node, in turns.
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

import { judge, median, runBareBench, summary } from "../lib/bench.ts";
import { BOT_IMAGE } from "../lib/bot-image.ts";
import { openApi } from "../lib/cluster/api.ts";
import { ClusterFleet } from "../lib/cluster/fleet.ts";
import { PlainPods } from "../lib/cluster/plain-pods.ts";
import { namesInSegments } from "../lib/cluster/product.ts";
import { chartValues } from "../lib/cluster/values.ts";

/** A kubelet takes 110 pods, and some are there already. */
const BOTS = Number(process.env["BENCH_BOTS"] ?? 60);
const ROUNDS = Number(process.env["BENCH_ROUNDS"] ?? 3);
const LIMIT_MS = 300_000;
/** Between two looks while it is measured: they take from the machine that both sides need whole. */
const LOOK_MS = 250;
/** Until what has just started or ended has settled in memory. */
const SETTLE_MS = 10_000;

type Cost = { readonly perSecond: number; readonly mbEach: number };

await runBareBench("bench:density", async (bench) => {
  const fleet = await ClusterFleet.up({ say: bench.say, nodes: 1 });
  const values = { ...chartValues(), runtime: { timings: "default" }, scaling: { minReplicas: 2, maxReplicas: 2 } };
  const release = fleet.release({ namespace: "bench", values });
  try {
    await release.install();
    await release.awaitPods(2);
    const plain = new PlainPods(release);
    const get = await openApi(fleet.cluster.runDir, fleet.cluster.network.api);
    const [first = "", ...ids] = namesInSegments(1).concat([...Array(BOTS).keys()].map((n) => `dense-${n}`));
    const document = (_id: string) => ({ _id, image: BOT_IMAGE, command: ["sleep", "1000000"], stopGraceSeconds: 0 });
    // Both have pulled, and have their nets, before anything is measured.
    await release.bots.insertOne(document(first));
    await release.awaitRunning([first]);
    await plain.scale(1);
    await plain.awaitRunning(1, LIMIT_MS);
    await plain.scale(0);
    await plain.awaitNone(LIMIT_MS);
    await sleep(SETTLE_MS);
    const ofWorker = async () => {
      await release.bots.insertMany(ids.map(document));
      await release.awaitRunning([first, ...ids], LIMIT_MS, LOOK_MS);
    };
    const endOfWorker = async () => {
      await release.bots.deleteMany({ _id: { $in: ids } });
      await release.awaitRunning([first], LIMIT_MS);
    };
    const ofPods = async () => {
      await plain.scale(BOTS);
      await plain.awaitReady(get, BOTS, LIMIT_MS, LOOK_MS);
    };
    const endOfPods = async () => {
      await plain.scale(0);
      await plain.awaitNone(LIMIT_MS);
    };
    const worker: Cost[] = [];
    const pods: Cost[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      worker.push(await measure(ofWorker, endOfWorker));
      pods.push(await measure(ofPods, endOfPods));
      const told = ({ perSecond, mbEach }: Cost) => `${perSecond.toFixed(2)} bots/s, ${mbEach.toFixed(2)} MB a bot`;
      bench.say(`round ${round + 1}: worker ${told(worker[round] as Cost)}; a pod each ${told(pods[round] as Cost)}`);
    }
    const of = (costs: readonly Cost[], key: keyof Cost) => costs.map((cost) => cost[key]);
    for (const [who, costs] of [
      [`${BOTS} bots of one worker`, worker],
      [`${BOTS} pods`, pods],
    ] as const)
      bench.say(`${who}: ${summary(of(costs, "perSecond"), "starts/s", 2)}, ${summary(of(costs, "mbEach"), "MB each", 2)}`);
    return [
      judge(bench, "starts a second, worker / a pod each", median(of(worker, "perSecond")) / median(of(pods, "perSecond")), 1),
      judge(bench, "memory of a bot, a pod each / worker", median(of(pods, "mbEach")) / median(of(worker, "mbEach")), 1),
    ].every(Boolean);
  } finally {
    await release.close();
    await fleet.down();
  }
});

/** Starts them all, and ends them again. */
async function measure(start: () => Promise<void>, end: () => Promise<void>): Promise<Cost> {
  const before = await usedMb();
  const began = performance.now();
  await start();
  const perSecond = BOTS / ((performance.now() - began) / 1_000);
  await sleep(SETTLE_MS);
  const mbEach = ((await usedMb()) - before) / BOTS;
  await end();
  await sleep(SETTLE_MS);
  return { perSecond, mbEach };
}

/** What the whole machine uses and cannot give away: bots, and all that stands behind them. */
async function usedMb(): Promise<number> {
  const text = await readFile("/proc/meminfo", "utf8");
  const kb = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB`, "m").exec(text)?.[1]);
  return (kb("MemTotal") - kb("MemAvailable")) / 1_024;
}
