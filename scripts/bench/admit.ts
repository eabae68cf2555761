// 100,000 disabled documents, so that nothing but the admission is measured: the runtime's first pass over them, from the
// start of its process, beside a bare sorted cursor and the same bulk of inserts, interleaved A B A B; and its memory.
import { readFile } from "node:fs/promises";
import { join } from "node:path";

import { type Collection, type Db, type Document, MongoClient } from "mongodb";

import { judge, median, runBench, summary, waitFor } from "../lib/bench.ts";
import { BenchRuntime } from "../lib/bench-runtime.ts";
import { run } from "../lib/command.ts";

const DOCUMENTS = Number(process.env.BENCH_DOCUMENTS ?? 100_000);
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 5);
/** The bare time to ours. docs/benchmarks.md says what ours is made of. */
const TARGET = 0.5;
const MAX_RSS_MB = 200;
/** As the admission writes. */
const BATCH = 500;

type Keyed = Document & { _id: string };

const root = join(import.meta.dirname, "../..");
const id = (n: number): string => `bot-${String(n).padStart(7, "0")}`;
const secondsSince = (began: number): number => (performance.now() - began) / 1_000;

await runBench("bench:admit", async (bench) => {
  await run("npm", ["run", "build"], { cwd: root });
  const command = await imageCommand();
  bench.say(`runs node ${command.join(" ")}, as the image does`);
  const client = new MongoClient(bench.mongoUri, { writeConcern: { w: "majority" } });
  const runtime = new BenchRuntime(bench, "bench_admit");
  const db = client.db(runtime.dbName);
  const bots = db.collection<Keyed>("bots");

  const ours = async (): Promise<{ seconds: number; rssMb: number }> => {
    await dropRuntime(db);
    const began = performance.now();
    await runtime.spawn({}, command);
    const placements = db.collection<Keyed>("runtime.placements");
    // They are placed in order, so the last one tells, asked for seldom: to count them costs the wire server half a second.
    const isLast = async (): Promise<boolean> => (await placements.findOne({ _id: id(DOCUMENTS - 1) })) !== null;
    await waitFor("all are placed", 3_600_000, isLast, 250);
    const seconds = secondsSince(began);
    const rssMb = await peakRssMb(runtime.pid);
    const placed = await placements.countDocuments();
    if (placed !== DOCUMENTS) throw new Error(`Placed ${placed} of ${DOCUMENTS} documents`);
    await runtime.end("SIGTERM");
    return { seconds, rssMb };
  };

  const bare = async (): Promise<number> => {
    const target = db.collection<Keyed>("bare");
    await target.drop();
    await target.createIndex({ active: 1, segment: 1 }); // the placements' own: the same writes cost the same
    const began = performance.now();
    await copy(bots, target);
    return secondsSince(began);
  };

  try {
    bench.say(`writing ${DOCUMENTS} documents`);
    await seed(bots);
    const [mine, theirs, rss]: [number[], number[], number[]] = [[], [], []];
    for (let round = 1; round <= ROUNDS; round++) {
      theirs.push(await bare());
      const { seconds, rssMb } = await ours();
      mine.push(seconds);
      rss.push(rssMb);
      bench.say(`round ${round}: bare ${theirs.at(-1)?.toFixed(1)} s, ours ${seconds.toFixed(1)} s, greatest RSS ${Math.round(rssMb)} MB`);
    }
    const ratios = mine.map((seconds, n) => (theirs[n] ?? 0) / seconds);
    const greatest = Math.max(...rss);
    bench.say(`${DOCUMENTS} documents: ours ${summary(mine, "s")}, bare cursor scan plus bulk writes ${summary(theirs, "s")}`);
    bench.say(`greatest RSS ${summary(rss, "MB", 0)}, limit ${MAX_RSS_MB} MB`);
    bench.say(`bare to ours ${summary(ratios, "in time", 2)}`);
    return judge(bench, "bare scan and writes to the admission", median(ratios), TARGET) && greatest < MAX_RSS_MB;
  } finally {
    await runtime.end("SIGTERM");
    await db.dropDatabase();
    await client.close();
  }
});

async function seed(bots: Collection<Keyed>): Promise<void> {
  for (let n = 0; n < DOCUMENTS; n += 1_000) {
    const count = Math.min(1_000, DOCUMENTS - n);
    const batch = Array.from({ length: count }, (_, i) => ({
      _id: id(n + i),
      enabled: false,
      image: "x/y:1",
      env: { N: String(n + i) },
    }));
    await bots.insertMany(batch, { ordered: false });
  }
}

/** Reads every document in order, as a merge must, and writes as much as an admission writes. */
async function copy(bots: Collection<Keyed>, target: Collection<Keyed>): Promise<void> {
  let rows: Keyed[] = [];
  let n = 0;
  for await (const { _id } of bots.find({}, { sort: { _id: 1 }, batchSize: BATCH })) {
    rows.push({ _id, segment: n++ % 64, active: false, done: null });
    if (rows.length < BATCH) continue;
    await target.insertMany(rows, { ordered: false });
    rows = [];
  }
  if (rows.length > 0) await target.insertMany(rows, { ordered: false });
}

/** The database as no runtime has seen it yet. */
async function dropRuntime(db: Db): Promise<void> {
  for (const { name } of await db.listCollections({}, { nameOnly: true }).toArray())
    if (name.startsWith("runtime.")) await db.dropCollection(name);
}

/** What the image's entrypoint hands to node: built JavaScript, and the limits that it runs with. */
async function imageCommand(): Promise<string[]> {
  const entrypoint = /^ENTRYPOINT (\[.*\])$/m.exec(await readFile(join(root, "Dockerfile"), "utf8"))?.[1] ?? "[]";
  const words = JSON.parse(entrypoint) as string[];
  return words.slice(words.indexOf("node") + 1).map((word) => (word.startsWith("--") ? word : join(root, word)));
}

/** The most that the process ever held, as the kernel kept count of it. */
async function peakRssMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1_024;
}
