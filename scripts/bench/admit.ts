// 100,000 documents: the first admission beside a bare cursor scan plus the same bulk of writes; and the memory it takes.
import { readFile } from "node:fs/promises";

import { MongoClient } from "mongodb";

import { runBench, waitFor } from "../lib/bench.ts";
import { BenchRuntime } from "../lib/bench-runtime.ts";

const DOCUMENTS = Number(process.env.BENCH_DOCUMENTS ?? 100_000);
const MAX_RSS_MB = 200;
const id = (n: number): string => `bot-${String(n).padStart(7, "0")}`;

await runBench("bench:admit", async (bench) => {
  const client = new MongoClient(bench.mongoUri);
  const runtime = new BenchRuntime(bench, "bench_admit");
  const db = client.db(runtime.dbName);
  const bots = db.collection<{ _id: string }>("bots");

  try {
    bench.say(`writing ${DOCUMENTS} disabled documents`);
    for (let n = 0; n < DOCUMENTS; n += 1_000) {
      const batch = Array.from({ length: Math.min(1_000, DOCUMENTS - n) }, (_, i) => ({
        _id: id(n + i),
        enabled: false,
        image: "x/y:1",
        env: { N: String(n + i) },
      }));
      await bots.insertMany(batch, { ordered: false });
    }

    let began = performance.now();
    const bulk = db.collection<{ _id: string; segment: number; active: boolean; done: null }>("bare");
    let rows: { _id: string; segment: number; active: boolean; done: null }[] = [];
    for await (const { _id } of bots.find({}, { sort: { _id: 1 }, batchSize: 200 })) {
      rows.push({ _id, segment: 1, active: false, done: null });
      if (rows.length === 1_000) {
        await bulk.insertMany(rows, { ordered: false });
        rows = [];
      }
    }
    if (rows.length > 0) await bulk.insertMany(rows, { ordered: false });
    const bare = (performance.now() - began) / 1_000;

    began = performance.now();
    let rssMb = 0;
    await runtime.start();
    await waitFor("all are placed", 3_600_000, async () => {
      rssMb = Math.max(rssMb, await rssOf(runtime.pid));
      return (await db.collection("runtime.placements").estimatedDocumentCount()) >= DOCUMENTS;
    });
    const ours = (performance.now() - began) / 1_000;
    bench.say(
      `${DOCUMENTS} documents: ours ${ours.toFixed(1)} s, bare scan plus bulk writes ${bare.toFixed(1)} s, ratio ${(ours / bare).toFixed(2)}`,
    );
    bench.say(`greatest RSS ${Math.round(rssMb)} MB, limit ${MAX_RSS_MB} MB`);
    return rssMb < MAX_RSS_MB;
  } finally {
    await runtime.end("SIGTERM");
    await db.dropDatabase();
    await client.close();
  }
});

async function rssOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1_024;
}
