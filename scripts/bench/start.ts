// What the runtime costs beside the raw Engine API: 100 bots at once, one at a time, and 100 taken over by a new process.
import { setTimeout as sleep } from "node:timers/promises";

import { type Bench, judge, median, runBench, summary, waitFor } from "../lib/bench.ts";
import { BenchBots, inParallel } from "../lib/bench-bots.ts";
import { cpuOf, cpuOfMachine } from "../lib/bench-cpu.ts";

const BOTS = 100;
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 5);
const SLOTS = Number(process.env.START_CONCURRENCY ?? 4);
/** Parallelisms that the raw side may choose its best from. */
const RAW = [2, 4, 8];
/** Single bots a round. */
const SINGLES = 10;
/** Before each of them: what the one before set going is over. */
const CALM_MS = 600;
/** Calls at a time when the raw side inspects: as many as the runtime makes. */
const INSPECTS = 16;

const THROUGHPUT = 0.9;
const SINGLE_EXTRA_MS = 150;
/** 2 s on a quiet machine, less the 0.7 s that the raw side takes there: loading the program, a list and the inspects. */
const ADOPTION_EXTRA_MS = 1_300;

const names = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, n) => `${prefix}-${n}`);

await runBench("bench:start", async (bench) => {
  const both = await BenchBots.open(bench, "bench_start");
  try {
    await both.runtime.start({ START_CONCURRENCY: String(SLOTS) });
    await timed(both, 1, () => both.insert(["warm-up"])); // makes the network
    await both.clear();
    return [await single(bench, both), await throughput(bench, both), await adoption(bench, both)].every(Boolean);
  } finally {
    await both.close();
  }
});

/** Milliseconds until so many more containers run. */
async function timed(both: BenchBots, count: number, act: () => Promise<unknown>): Promise<number> {
  const wait = both.expect(count);
  const began = performance.now();
  await Promise.all([act(), wait()]);
  return performance.now() - began;
}

/** One insert into a quiet system at a time, from the write to the running container; each beside one of the raw side. */
async function single(bench: Bench, both: BenchBots): Promise<boolean> {
  const [ours, raw]: [number[], number[]] = [[], []];
  for (let round = 1; round <= ROUNDS; round++) {
    for (const id of names(`single-${round}`, SINGLES)) {
      await sleep(CALM_MS);
      ours.push(await timed(both, 1, () => both.insert([id])));
      await sleep(CALM_MS);
      raw.push(await timed(both, 1, () => both.startRaw(id)));
    }
    await both.clear();
    await both.clearRaw();
    bench.say(`single bots, round ${round}: ours ${ms(ours.slice(-SINGLES))}, raw ${ms(raw.slice(-SINGLES))}`);
  }
  bench.say(`insert to running, one at a time: ours ${ms(ours)}, raw create and start ${ms(raw)}`);
  return judge(bench, `(raw p50 + ${SINGLE_EXTRA_MS} ms) / ours`, (median(raw) + SINGLE_EXTRA_MS) / median(ours), 1);
}

/** All at once. Leaves the bots of the last round running. */
async function throughput(bench: Bench, both: BenchBots): Promise<boolean> {
  const rawRound = async (parallel: number): Promise<number> => {
    const took = await timed(both, BOTS, () => inParallel(names("many", BOTS), parallel, (id) => both.startRaw(id)));
    await both.clearRaw();
    return took / 1_000;
  };
  const trials: { parallel: number; seconds: number }[] = [];
  for (const parallel of RAW) trials.push({ parallel, seconds: await rawRound(parallel) });
  bench.say(`raw trials: ${trials.map(({ parallel, seconds }) => `${parallel} in parallel ${seconds.toFixed(1)} s`).join(", ")}`);
  const best = trials.toSorted((a, b) => a.seconds - b.seconds)[0]?.parallel ?? 1;
  const [ours, raw]: [number[], number[]] = [[], []];
  for (let round = 1; round <= ROUNDS; round++) {
    await both.clear();
    raw.push(await rawRound(best));
    const [own, all] = [await cpuOf(both.runtime.pid), await cpuOfMachine()];
    ours.push((await timed(both, BOTS, () => both.insert(names("bot", BOTS)))) / 1_000);
    const used = `${((await cpuOf(both.runtime.pid)) - own).toFixed(1)} of the machine's ${((await cpuOfMachine()) - all).toFixed(1)}`;
    bench.say(`round ${round}: raw ${raw.at(-1)?.toFixed(1)} s, ours ${ours.at(-1)?.toFixed(1)} s, in which we used ${used} CPU seconds`);
  }
  bench.say(`${BOTS} bots: ours ${summary(ours, "s")} with ${SLOTS} slots, raw ${summary(raw, "s")} with ${best} in parallel`);
  return judge(bench, "throughput beside raw", median(raw) / median(ours), THROUGHPUT);
}

/** The process is killed, and a new one takes its running bots over. Beside it stands what cannot be saved: the program has to
 *  be loaded, and the Engine asked for each bot. */
async function adoption(bench: Bench, both: BenchBots): Promise<boolean> {
  const { runtime, docker } = both;
  const [whole, own, load, looks]: [number[], number[], number[], number[]] = [[], [], [], []];
  const before = await both.running();
  for (let round = 1; round <= ROUNDS; round++) {
    await runtime.end("SIGKILL");
    both.expect(1);
    const began = performance.now();
    await runtime.spawn({ START_CONCURRENCY: String(SLOTS) });
    await waitFor("all are adopted", 60_000, async () => runtime.said("Adopted running bot").length === BOTS, 10);
    const last = Math.max(...runtime.said("Adopted running bot"));
    whole.push(last - began);
    own.push(last - (runtime.said("Opened session")[0] ?? began));
    await waitFor("it leads", 60_000, async () => runtime.said("leader: this process leads").length > 0);
    load.push(await runtime.load());
    const asked = performance.now();
    await inParallel(await both.running(), INSPECTS, (id) => docker.getContainer(id).inspect());
    looks.push(performance.now() - asked);
  }
  const after = await both.running();
  const untouched = both.started === 0 && before.length === BOTS && after.join() === before.join();
  bench.say(`${BOTS} bots adopted after a restart: ${ms(whole)} from the spawn, ${ms(own)} from the session`);
  bench.say(`raw: program loaded ${ms(load)}, list and inspects ${ms(looks)}, ${INSPECTS} at a time`);
  bench.say(`bots restarted: ${untouched ? "none" : "SOME"}`);
  const raw = median(load.map((n, i) => n + (looks[i] ?? 0)));
  return (
    judge(bench, `(raw p50 + ${ADOPTION_EXTRA_MS} ms) / ours from the spawn`, (raw + ADOPTION_EXTRA_MS) / median(whole), 1) && untouched
  );
}

function ms(values: readonly number[]): string {
  return summary(values, "ms", 0);
}
