// The main job end to end, for a first look and for the gate: parts that are missing are started privately, the
// example bots are written into MongoDB, the runtime runs them, and everything made is removed again.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

import { MongoClient } from "mongodb";

import { openCache, type Say } from "./lib/cache.ts";
import { compareFleet, type Expected, fleetTable, loadExamples, look, type Seen } from "./lib/demo-fleet.ts";
import { watchInterrupt } from "./lib/interrupt.ts";
import { cleanStaleRuns, openRun, recordProcess } from "./lib/run-dir.ts";
import { provideDocker, provideMongo } from "./lib/test-parts.ts";

const HELP = `Usage: ./scripts/demo [--once | --purge]

Runs examples/bots.yaml on this machine: a Docker Engine and a MongoDB server are installed and started privately,
unless an engine answers and MONGO_URI is set. Ctrl-C stops and removes everything it made.

  --once    end as soon as the fleet is as examples/expected.json says: exit 0; after two minutes with a diff: exit 1
  --purge   empty the cache of downloads and images, then end
  --help    print this help

The demo owns the database "bot_runner_demo" and listens on HTTP_PORT (8080, or a free port if that is taken).`;

/** Generous: a slow machine starts eleven containers and waits out two crashes. */
const ONCE_LIMIT_MS = 120_000;
const DB_NAME = "bot_runner_demo";
const root = new URL("..", import.meta.url).pathname;

const began = Number(process.env.DEMO_BEGAN ?? Date.now() / 1_000) * 1_000;
const say: Say = (line) => console.log(`[${((Date.now() - began) / 1_000).toFixed(1).padStart(5)} s] ${line}`);
const interrupt = watchInterrupt();

let options: { once?: boolean; purge?: boolean; help?: boolean };
try {
  ({ values: options } = parseArgs({ options: { once: { type: "boolean" }, purge: { type: "boolean" }, help: { type: "boolean" } } }));
} catch (error) {
  console.error(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
  process.exit(2);
}
if (options.help === true) console.log(HELP);
else if (options.purge === true) {
  const dir = await openCache(process.env);
  await rm(dir, { recursive: true, force: true });
  say(`emptied the cache "${dir}"`);
} else process.exitCode = await demo(options.once === true);

async function demo(isOnce: boolean): Promise<number> {
  await cleanStaleRuns(say);
  const run = await openRun();
  const undo: (() => Promise<unknown>)[] = [() => run.remove()];
  try {
    const place = { runDir: run.dir, cacheDir: await openCache(process.env), say };
    say("looking for a Docker Engine and a MongoDB server");
    const docker = await provideDocker(place, process.env);
    undo.push(async () => docker.stop?.());
    say(docker.stop === undefined ? "using the Docker Engine that answers" : "started a private Docker Engine");
    const mongo = await provideMongo(place, process.env);
    undo.push(async () => mongo.stop?.());
    say(mongo.stop === undefined ? "using the MongoDB that MONGO_URI names" : "started a private MongoDB wire server");

    const client = new MongoClient(mongo.at);
    undo.push(() => client.close());
    const db = client.db(DB_NAME);
    await db.dropDatabase();
    undo.push(() => db.dropDatabase());
    say(`wrote ${await loadExamples(db, "bots", join(root, "examples/bots.yaml"))} bots into "${DB_NAME}.bots"`);
    if (interrupt.aborted) return 130;

    const port = await freePort(Number(process.env.HTTP_PORT ?? 8080));
    const runtime = await startRuntime(run.dir, { MONGO_URI: mongo.at, DOCKER_HOST: docker.at, DB_NAME, HTTP_PORT: String(port) });
    undo.push(() => stopRuntime(runtime.child, runtime.log));
    say(`started the runtime, see http://localhost:${port}/metrics/segments; its log is ${runtime.log}`);
    const expected = JSON.parse(await readFile(join(root, "examples/expected.json"), "utf8")) as Expected;
    return await watch({ isOnce, expected, child: runtime.child, log: runtime.log, port, seen: () => look(db, docker.at) });
  } catch (error) {
    if (interrupt.aborted) return 130;
    throw error;
  } finally {
    if (interrupt.aborted) say("stopping");
    for (const act of undo.toReversed()) await act().catch((error: unknown) => say(`could not clean up: ${String(error)}`));
    say("removed what the demo made");
  }
}

type Watch = { isOnce: boolean; expected: Expected; child: ChildProcess; log: string; port: number; seen: () => Promise<Seen> };

/** Shows the fleet until it is as expected (`--once`) or the user has seen enough. */
async function watch({ isOnce, expected, child, log, port, seen }: Watch): Promise<number> {
  const isLive = process.stdout.isTTY && !isOnce;
  const limit = performance.now() + ONCE_LIMIT_MS;
  let open = Infinity;
  for (let last = ""; ;) {
    if (child.exitCode !== null || child.signalCode !== null) {
      console.error((await readFile(log, "utf8")).split("\n").slice(-15).join("\n"));
      say(`the runtime ended with ${child.exitCode ?? child.signalCode}`);
      return 1;
    }
    const now = await seen();
    const table = fleetTable(now, process.stdout.isTTY ? process.stdout.columns : undefined);
    const differences = compareFleet(expected, now);
    if (isLive) process.stdout.write(`\x1b[H\x1b[2J${table}\n${await figures(port)}\nCtrl-C stops and removes everything\n`);
    else if (!isOnce && table !== last) console.log(`\n${table}${await figures(port)}`);
    if (isOnce && differences.length < open) say(`waiting: ${(open = differences.length)} differences from what is expected`);
    last = table;
    if (isOnce && differences.length === 0) {
      console.log(`\n${table}\n${await figures(port)}\n`);
      say("the fleet is as expected");
      return 0;
    }
    if (isOnce && performance.now() > limit) {
      console.error(
        `\n${table}\n${await figures(port)}\nThe fleet is not as examples/expected.json says:\n${differences.map((d) => `- ${d}`).join("\n")}`,
      );
      return 1;
    }
    // A user who ends the show has seen it; a gate that is interrupted has not.
    if (interrupt.aborted) return isOnce ? 130 : 0;
    await sleep(isOnce ? 250 : 1_000, undefined, { signal: interrupt }).catch(() => {});
  }
}

async function figures(port: number): Promise<string> {
  const reply = await fetch(`http://localhost:${port}/metrics/segments`, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
  return reply === undefined ? "figures: no answer yet" : `figures: ${await reply.text()}`;
}

async function startRuntime(runDir: string, env: NodeJS.ProcessEnv): Promise<{ child: ChildProcess; log: string }> {
  const log = join(runDir, "runtime.log");
  // A session of its own: a Ctrl-C in the terminal is for this script, which then stops the runtime in order.
  const child = spawn(process.execPath, [join(root, "src/main.ts")], {
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, HOME: process.env.HOME, STATE_DIR: join(runDir, "state"), LOG_FORMAT: "text", ...env },
  });
  const file = createWriteStream(log);
  child.stdout.pipe(file, { end: false });
  child.stderr.pipe(file, { end: false });
  if (child.pid !== undefined) await recordProcess(runDir, child.pid);
  return { child, log };
}

async function stopRuntime(child: ChildProcess, log: string): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const code = await Promise.race([ended.then(([given]) => given as number | null), sleep(60_000, "late" as const, { ref: false })]);
  if (code === "late") child.kill("SIGKILL");
  if (code !== 0) console.error((await readFile(log, "utf8")).split("\n").slice(-15).join("\n"));
}

/** `wish` if it is free, else any port. */
async function freePort(wish: number): Promise<number> {
  const server = createServer();
  const listening = new Promise<boolean>((done) => {
    server.once("listening", () => done(true));
    server.once("error", () => done(false));
  });
  server.listen({ port: wish, host: "::" });
  if (!(await listening)) return freePort(0);
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : wish;
}
