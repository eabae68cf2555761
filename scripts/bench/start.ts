// 100 bots through the runtime beside the same 100 containers through the raw Engine API, interleaved A B A B.
import { MongoClient } from "mongodb";

import { createBody } from "../../src/docker/create-body.ts";
import type { BotId, Epoch, SegmentId, SessionId, SpecHash } from "../../src/core/ids.ts";
import { median, runBench, summary, waitFor } from "../lib/bench.ts";
import { BenchRuntime } from "../lib/bench-runtime.ts";
import { BOT_IMAGE } from "../lib/bot-image.ts";
import { connectDocker } from "../lib/find-docker.ts";

const BOTS = 100;
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 5);
const OURS = 4;
/** Parallelisms that the raw side may choose its best from. */
const RAW = [4, 8];
const TARGET = 0.9;
/** Noise of a shared machine: only a ratio below this part of the target fails. */
const GATE = 0.8;

const command = ["sleep", "3600"];
const memoryBytes = 32 * 1024 * 1024;

await runBench("bench:start", async (bench) => {
  const docker = connectDocker(bench.dockerHost);
  const client = new MongoClient(bench.mongoUri);
  const runtime = new BenchRuntime(bench, "bench_start");
  const bots = client.db(runtime.dbName).collection<{ _id: string; enabled: boolean }>("bots");
  const list = async (label: string) => docker.listContainers({ all: true, filters: { label: [label] } });
  const running = async (label: string) => (await list(label)).filter((c) => c.State === "running").length;

  const ours = async (): Promise<number> => {
    const began = performance.now();
    await bots.updateMany({}, { $set: { enabled: true } });
    await waitFor("all run", 300_000, async () => (await running("botrunner.managed=1")) === BOTS);
    const seconds = (performance.now() - began) / 1_000;
    await bots.updateMany({}, { $set: { enabled: false } });
    await waitFor("none is left", 300_000, async () => (await list("botrunner.managed=1")).length === 0);
    return seconds;
  };

  const raw = async (parallel: number): Promise<number> => {
    const left = Array.from({ length: BOTS }, (_, n) => n);
    const began = performance.now();
    const worker = async (): Promise<void> => {
      for (let n = left.shift(); n !== undefined; n = left.shift()) {
        const bot = `raw-${n}` as BotId;
        const spec = {
          image: BOT_IMAGE,
          command,
          env: {},
          resources: { memoryBytes, pids: 256 },
          restart: "always",
          stopGraceSeconds: 0,
          labels: {},
        } as const;
        const security = { readOnlyRootFilesystem: false, capabilities: [] };
        const ids = { segment: 0 as SegmentId, epoch: 1 as Epoch, sid: "raw" as SessionId, hash: "raw" as SpecHash };
        const body = createBody({ bot, spec: { ...spec, security }, ...ids, why: "new" }, { network: "botrunner" });
        const container = await docker.createContainer({ ...body, name: bot, Labels: { raw: "1" } });
        await container.start();
      }
    };
    await Promise.all(Array.from({ length: parallel }, worker));
    const seconds = (performance.now() - began) / 1_000;
    await Promise.all((await list("raw=1")).map((c) => docker.getContainer(c.Id).remove({ force: true, v: true })));
    return seconds;
  };

  try {
    const document = { enabled: false, image: BOT_IMAGE, command, stopGraceSeconds: 0, resources: { memory: "32Mi" } };
    await bots.insertMany(Array.from({ length: BOTS }, (_, n) => ({ _id: `bench-${n}`, ...document })));
    await runtime.start({ START_CONCURRENCY: String(OURS) });
    await waitFor(
      "all are placed",
      60_000,
      async () => (await client.db(runtime.dbName).collection("runtime.placements").countDocuments()) === BOTS,
    );
    await ours(); // makes the network, warms both sides
    const trial = new Map<number, number>();
    for (const parallel of RAW) trial.set(parallel, await raw(parallel));
    const best = [...trial].toSorted((a, b) => a[1] - b[1])[0]?.[0] ?? RAW[0] ?? 1;
    const [mine, theirs]: [number[], number[]] = [[], []];
    for (let round = 1; round <= ROUNDS; round++) {
      mine.push(await ours());
      theirs.push(await raw(best));
      bench.say(`round ${round}: ours ${mine.at(-1)?.toFixed(1)} s, raw ${theirs.at(-1)?.toFixed(1)} s`);
    }
    const ratio = median(theirs) / median(mine);
    bench.say(`${BOTS} bots: ours ${summary(mine, "s")} with ${OURS} slots, raw ${summary(theirs, "s")} with ${best} in parallel`);
    bench.say(`throughput ratio ${ratio.toFixed(2)}, target ${TARGET}, gate ${(GATE * TARGET).toFixed(2)}`);
    return ratio >= GATE * TARGET;
  } finally {
    await runtime.end("SIGTERM");
    await client.db(runtime.dbName).dropDatabase();
    await client.close();
  }
});
