// From the loss of a node to all its bots running elsewhere, beside what Kubernetes does for a Deployment whose pods were on that
// node; and for how long a bot stands still when it is moved on purpose.
import { judge, runBareBench, summary } from "../lib/bench.ts";
import { openApi, readiness } from "../lib/cluster/api.ts";
import { ClusterFleet } from "../lib/cluster/fleet.ts";
import { PlainPods } from "../lib/cluster/plain-pods.ts";
import type { Pod } from "../lib/cluster/pods.ts";
import { namesInSegments, type Release } from "../lib/cluster/product.ts";
import { chartValues } from "../lib/cluster/values.ts";
import { until } from "../lib/command.ts";
import { findUnrun } from "../faults/analysis.ts";
import { startCompanion } from "../faults/companion.ts";
import type { LagAnswers } from "../faults/lag-meter.ts";
import { bootTimeMs } from "../faults/stage.ts";

const ROUNDS = Number(process.env["BENCH_ROUNDS"] ?? 5);
/** Five busy workers and the leader: as many Engines as this machine carries. */
const [PODS, BOTS, PLAIN] = [6, 10, 6];
const LIMIT_MS = 240_000;
/** Kubernetes waits for 40 to 50 s until a node is lost, and then as long as a pod tolerates that: 300 s unless it says otherwise. */
const PLAIN_LIMIT_MS = 600_000;
/** Of what Kubernetes takes. Our bound for a lost node is less than a tenth of its 340 s. */
const TARGET = 10;

await runBareBench("bench:failover", async (bench) => {
  const fleet = await ClusterFleet.up({ say: bench.say, nodes: 3, isDurable: true });
  const values = { ...chartValues(), runtime: { timings: "default" }, bots: { backlogPatienceSeconds: 2 } };
  const release = fleet.release({ namespace: "bench", values: { ...values, scaling: { minReplicas: PODS, maxReplicas: PODS } } });
  const bots = namesInSegments(BOTS);
  try {
    await release.bots.insertMany(bots.map((id) => fleet.document(id)));
    await release.install();
    await settled(fleet, release, bots);
    const plain = new PlainPods(release);
    await plain.scale(PLAIN);
    await plain.awaitRunning(PLAIN, LIMIT_MS);

    const lag = await startCompanion<LagAnswers>(bench.runDir, "lag-meter.ts");
    try {
      await lag.ask("lag");
      const gaps = await rollOut(fleet, release, bots);
      const { p99Ms, load } = await lag.ask("lag");
      const noise = `p99 timer lag ${p99Ms.toFixed(0)} ms, load ${load.toFixed(1)}`;
      bench.say(
        `a rollout of ${PODS} pods: ${gaps.length} moves of ${bots.length} bots, each stood still for ${summary(gaps, "ms", 0)}; ${noise}`,
      );
    } finally {
      await lag.stop();
    }

    const ours: number[] = [];
    let theirs = 0;
    await settled(fleet, release, bots);
    for (let round = 1; round <= ROUNDS; round++) {
      const { node, lost } = await victim(fleet, release, plain);
      const at = bootTimeMs();
      await fleet.cluster.crash(node);
      try {
        ours.push(await takenOver(fleet, lost, at));
        bench.say(
          `${round}/${ROUNDS} ${node} lost: its ${lost.length} bots run elsewhere after ${((ours.at(-1) ?? 0) / 1_000).toFixed(1)} s`,
        );
        if (round === ROUNDS) {
          bench.say("and now for as long as Kubernetes needs for its own");
          await plain.awaitRunning(PLAIN, PLAIN_LIMIT_MS, node);
          theirs = bootTimeMs() - at;
        }
      } finally {
        await fleet.cluster.boot(node);
      }
      await settled(fleet, release, bots);
    }
    const duplicates = await fleet.duplicates();
    for (const line of duplicates) bench.say(line);
    bench.say(`a lost node's bots, n = ${ours.length}: ${summary(ours, "ms", 0)}; a Deployment's pods, once: ${theirs.toFixed(0)} ms`);
    return judge(bench, "a Deployment's pods / our worst", theirs / Math.max(...ours), TARGET) && duplicates.length === 0;
  } finally {
    await release.close();
    await fleet.down();
  }
});

/** All nodes and pods are there, and each bot runs, no worker with more than its share: the rounds begin alike. */
async function settled({ cluster }: ClusterFleet, release: Release, bots: readonly string[]): Promise<void> {
  const get = await openApi(cluster.runDir, cluster.network.api);
  for (const node of cluster.nodes)
    await until(`${node} ready`, LIMIT_MS, async () => (await readiness(get, node)) === "Ready" || undefined);
  await release.awaitPods(PODS, LIMIT_MS);
  await release.awaitSpread(bots, LIMIT_MS, Math.ceil(bots.length / (PODS - 1)));
}

/** A node that has bots and pods of the Deployment, and not the leader. */
async function victim(fleet: ClusterFleet, release: Release, plain: PlainPods): Promise<{ node: string; lost: string[] }> {
  return until("a node to lose", LIMIT_MS, async () => {
    const [leader, pods, states, others] = await Promise.all([release.leader(), release.pods(), release.states(), plain.pods()]);
    const botsOn = (node: string) => {
      const names = pods.filter((pod: Pod) => pod.node === node).map(({ name }) => name);
      return [...states].filter(([, { worker }]) => names.includes(worker)).map(([bot]) => bot);
    };
    return fleet.cluster.nodes
      .filter((node) => node !== leader.node && others.some((pod) => pod.node === node))
      .map((node) => ({ node, lost: botsOn(node) }))
      .find(({ lost }) => lost.length > 0);
  });
}

/** Until the last of these bots has a life that began after that instant, in ms. */
async function takenOver(fleet: ClusterFleet, lost: readonly string[], at: number): Promise<number> {
  const firsts = await until("the bots of the lost node elsewhere", LIMIT_MS, async () => {
    const fresh = (await fleet.lives(lost)).filter(({ first }) => first > at);
    const first = lost.map((bot) => Math.min(...fresh.filter((life) => life.bot === bot).map((life) => life.first)));
    return first.every(Number.isFinite) ? first : undefined;
  });
  return Math.max(...firsts) - at;
}

/** Replaces every pod; how long each bot stood still, in ms. */
async function rollOut(fleet: ClusterFleet, release: Release, bots: readonly string[]): Promise<number[]> {
  const old = await release.pods();
  const from = bootTimeMs();
  await release.install({ pod: { annotations: { version: "2" } } }, "upgrade");
  await release.awaitReplaced(old, LIMIT_MS);
  await release.awaitRunning(bots, LIMIT_MS);
  const lives = (await fleet.lives(bots)).filter(({ last }) => last >= from);
  return findUnrun(lives, bots, { from, to: bootTimeMs() - 500 }).map((gap) => gap.to - gap.from);
}
