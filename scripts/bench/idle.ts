// What 100 bots cost that just run: CPU of the runtime, and what it asks MongoDB and the Engine for.
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { type Db, MongoClient } from "mongodb";

import { judge, runBench, summary } from "../lib/bench.ts";
import { BenchBots } from "../lib/bench-bots.ts";
import { cpuOf } from "../lib/bench-cpu.ts";
import { countersOf, operationsIn } from "../lib/bench-operations.ts";
import { proxyDocker } from "../lib/docker-proxy.ts";

const BOTS = 100;
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 5);
/** Long enough for each of the runtime's intervals up to its check of everything, which comes every 15 s. */
const ROUND_MS = 60_000 / 4;
/** After the last start, so that what follows it is over. */
const CALM_MS = 15_000;

const CPU_SHARE = 0.02;
const MONGO_PER_SECOND = 3;
const DOCKER_PER_SECOND = 2;

/** As long as the runtime's own stream lets the server keep a quiet one's request, in ms. */
const AWAIT_MS = 5_000;
/** One of the database brings bots, placements and segments. */
const STREAMS = 1;

await runBench("bench:idle", async (bench) => {
  const calls = await proxyDocker(bench.dockerHost, join(bench.runDir, "counted.sock"));
  const both = await BenchBots.open(bench, "bench_idle");
  const client = new MongoClient(bench.mongoUri);
  try {
    await both.runtime.start({ DOCKER_HOST: calls.at });
    const run = both.expect(BOTS);
    await both.insert(Array.from({ length: BOTS }, (_, n) => `idle-${n}`));
    await run();
    await sleep(CALM_MS);

    const [cpu, mongo, streams, quiets, docker]: [number[], number[], number[], number[], number[]] = [[], [], [], [], []];
    const asked = new Map(calls.counts);
    const control = watchNothing(client.db(both.runtime.dbName));
    let counters = await countersOf(client);
    for (let round = 1; round <= ROUNDS; round++) {
      const [began, used, called] = [performance.now(), await cpuOf(both.runtime.pid), sum(calls.counts)];
      await sleep(ROUND_MS);
      const [now, seconds] = [await countersOf(client), (performance.now() - began) / 1_000];
      const quiet = control.answers() / seconds;
      cpu.push((100 * ((await cpuOf(both.runtime.pid)) - used)) / seconds);
      streams.push(((now["getmore"] ?? 0) - (counters["getmore"] ?? 0)) / seconds - quiet);
      quiets.push(quiet);
      // Our own question is one of the commands.
      mongo.push((operationsIn(now) - operationsIn(counters) - 1) / seconds);
      docker.push((sum(calls.counts) - called) / seconds);
      counters = now;
      bench.say(
        `round ${round}: ${cpu.at(-1)?.toFixed(2)} % of a core, MongoDB ${mongo.at(-1)?.toFixed(1)}/s and ${streams.at(-1)?.toFixed(1)}/s by change streams, Docker ${docker.at(-1)?.toFixed(2)}/s`,
      );
    }
    for (const [call, count] of calls.counts) if (count > (asked.get(call) ?? 0)) bench.say(`${call}: ${count - (asked.get(call) ?? 0)}`);
    await control.stop();
    const alive = both.started === BOTS && (await both.running()).length === BOTS;
    bench.say(`${BOTS} idle bots, ${ROUNDS} rounds of ${ROUND_MS / 1_000} s; bots restarted: ${alive ? "none" : "SOME"}`);
    bench.say(`CPU ${summary(cpu, "% of a core", 2)}`);
    bench.say(`MongoDB ${summary(mongo, "operations/s")}, beside them ${summary(streams, "getMore/s of change streams")}`);
    bench.say(`a stream to which nothing happens got ${summary(quiets, "answers/s", 2)}, and asked for ${1_000 / AWAIT_MS}/s`);
    bench.say(`Docker ${summary(docker, "calls/s", 2)}`);
    return [
      judge(bench, `${100 * CPU_SHARE} % of a core / measured`, (100 * CPU_SHARE) / mean(cpu), 1),
      judge(bench, `${MONGO_PER_SECOND} MongoDB operations/s / measured without getMore`, MONGO_PER_SECOND / mean(mongo), 1),
      judge(bench, `getMore of ${STREAMS} quiet stream / measured`, (STREAMS * mean(quiets)) / mean(streams), 1),
      judge(bench, `${DOCKER_PER_SECOND} Docker calls/s / measured`, DOCKER_PER_SECOND / mean(docker), 1),
      alive,
    ].every(Boolean);
  } finally {
    await both.close();
    await client.close();
    await calls.stop();
  }
});

/** A change stream on a collection that nobody writes to. MongoDB lets its request rest; a server that answers it at every
 *  write of anybody makes all streams look busier than they are, and this one by as much. */
function watchNothing(db: Db): { readonly answers: () => number; readonly stop: () => Promise<void> } {
  const stream = db.collection("bench.nothing").watch([], { maxAwaitTimeMS: AWAIT_MS });
  let answers = 0;
  const read = async (): Promise<void> => {
    while (!stream.closed) {
      await stream.tryNext();
      answers += 1;
    }
  };
  const reading = read().catch(() => {}); // closed under its reader
  const take = (): number => {
    const taken = answers;
    answers = 0;
    return taken;
  };
  return { answers: take, stop: () => stream.close().then(() => reading) };
}

function sum(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((all, n) => all + n, 0);
}

/** Over all rounds: what comes every 15 s falls into some of them only. */
function mean(values: readonly number[]): number {
  return values.reduce((all, n) => all + n, 0) / values.length;
}
