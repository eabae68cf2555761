// How soon the Deployment follows the segments, by the API server's own clock, and what a pod costs that has nothing to do.
import { setTimeout as sleep } from "node:timers/promises";

import { MongoClient } from "mongodb";

import { judge, median, runBareBench, summary, waitFor } from "../lib/bench.ts";
import { countersOf, operationsIn } from "../lib/bench-operations.ts";
import { ClusterFleet } from "../lib/cluster/fleet.ts";
import { namesInSegments, type Release } from "../lib/cluster/product.ts";
import { chartValues } from "../lib/cluster/values.ts";
import { quantile } from "../faults/analysis.ts";

const PHASES = Number(process.env["BENCH_PHASES"] ?? 100);
const REST_MS = 60_000;
/** Up to so long lies between two of the changes: anywhere in the leader's intervals. */
const PHASE_MS = 2_000;
const MAX_SEGMENT = 4096;
const P50_MS = 200;
const P99_MS = 1_000;
const REQUESTS_PER_SECOND = 0.5;

await runBareBench("bench:scaling", async (bench) => {
  const fleet = await ClusterFleet.up({ say: bench.say });
  const values = chartValues();
  const release = fleet.release({ namespace: "bench", maxSegment: MAX_SEGMENT, values: { ...values, runtime: { timings: "default" } } });
  try {
    await release.install({ scaling: { maxReplicas: 40 } });
    await release.awaitPods(3);
    await sleep(REST_MS / 4);
    const rest = await atRest(release, fleet.mongo.uri);
    bench.say(
      `at rest, 3 pods for ${REST_MS / 1_000} s: ${rest.requests.toFixed(2)} API requests/s and ${rest.operations.toFixed(1)} MongoDB operations/s a pod`,
    );
    bench.say(`memory of the runtime's process: ${summary(rest.memoryMb, "MB", 0)}`);

    // What comes from here on need not run: the nodes take nobody, and a write is a write.
    for (const node of fleet.cluster.nodes) await release.kubectl("cordon", node);
    const first = namesInSegments(50, [], MAX_SEGMENT);
    await release.bots.insertMany(first.map((id) => fleet.document(id)));
    await waitFor("the fleet has been scaled", 30_000, async () => (await release.scalings()).length > 1);
    await sleep(5_000);
    const writes = (await release.scalings()).map(({ replicas }) => replicas);
    bench.say(`3 to 40: ${writes.slice(1).length} write(s), ${writes.join(" -> ")}`);

    await release.install({ scaling: { maxReplicas: 1_000 } }, "upgrade");
    await waitFor("the higher bound holds", 30_000, async () => (await release.scalings()).at(-1)?.replicas === first.length + 1);
    const delays = await follow(fleet, release, first);
    bench.say(
      `${PHASES} segments at random phases: segment active -> scale write ${summary(delays, "ms", 0)}, p99 ${quantile(delays, 0.99).toFixed(0)} ms`,
    );
    return [
      judge(bench, `${P50_MS} ms / median`, P50_MS / median(delays), 1),
      judge(bench, `${P99_MS} ms / p99`, P99_MS / quantile(delays, 0.99), 1),
      judge(bench, `${REQUESTS_PER_SECOND} API requests/s a pod / measured`, REQUESTS_PER_SECOND / rest.requests, 1),
      writes.length === 2 && writes[1] === 40,
    ].every(Boolean);
  } finally {
    await release.close();
    await fleet.down();
  }
});

/** From each insert's answer to the write of the count that it asks for, in ms. */
async function follow(fleet: ClusterFleet, release: Release, taken: readonly string[]): Promise<number[]> {
  const delays: number[] = [];
  const names = namesInSegments(PHASES, taken, MAX_SEGMENT);
  for (const [n, name] of names.entries()) {
    await sleep(Math.random() * PHASE_MS);
    await release.bots.insertOne(fleet.document(name));
    const at = Date.now();
    const count = taken.length + 1 + n + 1;
    let written: number | undefined;
    await waitFor(`${count} replicas are asked for`, 30_000, async () => {
      written = (await release.scalings()).find(({ replicas }) => replicas === count)?.at;
      return written !== undefined;
    });
    delays.push((written ?? 0) - at);
  }
  return delays;
}

/** Per pod and second over a while in which nothing happens. */
async function atRest(release: Release, mongoUri: string): Promise<{ requests: number; operations: number; memoryMb: number[] }> {
  const client = new MongoClient(mongoUri);
  try {
    const pods = await release.pods();
    const account = `system:serviceaccount:${release.options.namespace}:runtime`;
    const asked = async () => (await release.audit()).filter(({ user }) => user === account).length;
    const [requests, operations] = [await asked(), operationsIn(await countersOf(client))];
    await sleep(REST_MS);
    const share = pods.length * (REST_MS / 1_000);
    const memoryMb: number[] = [];
    for (const { name } of pods) {
      const metrics = await release.kubectl("exec", name, "--", "curl", "-s", "localhost:8080/metrics");
      memoryMb.push(Number(/^process_resident_memory_bytes (\S+)/m.exec(metrics)?.[1]) / 2 ** 20);
    }
    return {
      requests: ((await asked()) - requests) / share,
      operations: (operationsIn(await countersOf(client)) - operations) / share,
      memoryMb,
    };
  } finally {
    await client.close();
  }
}
