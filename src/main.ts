#!/usr/bin/env node
import { randomUUID } from "node:crypto";
import { runProgram } from "./cli/program.ts";
import type { CliDeps } from "./cli/ports.ts";
import type { Config } from "./config.ts";
import { openBotLogs } from "./docker/bot-logs.ts";
import { createEngine } from "./docker/engine.ts";
import { timingsOf } from "./core/timings.ts";
import { connectStore } from "./mongo/connect.ts";
import { openFleetBooks } from "./mongo/fleet-books.ts";
import { openUserBots } from "./mongo/user-bots.ts";
import { systemClock } from "./process/clock.ts";
import { listenForSignals } from "./process/signals.ts";
import { readVersion } from "./process/version.ts";
import { openDoctor } from "./serve/doctor.ts";
import { adoptFleet } from "./serve/adopt-fleet.ts";
import { type ClusterSide, openClusterSide } from "./serve/cluster-side.ts";
import { fleetOf } from "./serve/membership.ts";
import { serve } from "./serve/serve.ts";

const adapters = { clock: systemClock, random: Math.random };

const deps: CliDeps = {
  version: readVersion(),
  env: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  serve,
  openUserBots: (config) => openUserBots(mongoOf(config)),
  openFleetBooks: (config) => openFleetBooks(mongoOf(config)),
  async readContainerLog(config, bot, lines) {
    const engine = createEngine({ ...adapters, dockerHost: config.dockerHost, stateDir: config.stateDir });
    try {
      const actual = await engine.inspect(bot);
      if (actual.kind !== "ours") return undefined;
      return lastLines(await engine.logTail(actual.container.id, MAX_LOG_BYTES), lines);
    } finally {
      engine.close();
    }
  },
  openBotLogs: (config) => openBotLogs({ dockerHost: config.dockerHost, clock: systemClock }),
  openDoctor: (config, limitMs) => openDoctor({ config, clock: systemClock, limitMs }),
  clock: systemClock,
  listenForSignals,
  async adoptFleet(config) {
    const engine = createEngine({ ...adapters, dockerHost: config.dockerHost, stateDir: config.stateDir });
    const mongo = await connectStore({ ...mongoOf(config), ...adapters });
    try {
      const { renewMs } = timingsOf(config);
      const { coordination, dbName } = config;
      const owner = await fleetOf(config, engine, coordination === "kubernetes" ? await lookAtCluster(config) : undefined);
      const options = { store: mongo.store, clock: systemClock, owner, renewMs, coordination, dbName };
      return await adoptFleet({ ...options, incarnation: randomUUID() });
    } finally {
      await mongo.close();
      engine.close();
    }
  },
};

/** What `runtime bots logs` reads of a container at most. */
const MAX_LOG_BYTES = 4 * 1024 * 1024;

function lastLines(text: string, count: number): string {
  const lines = text.split("\n");
  const end = lines.at(-1) === "" ? -1 : undefined;
  return `${lines.slice(0, end).slice(-count).join("\n")}\n`;
}

/** What there is of Kubernetes, for one question. */
async function lookAtCluster(config: Config): Promise<ClusterSide> {
  const side = await openClusterSide({ ...adapters, config, onFault: () => {}, patiently: (act) => act() });
  side.connection.close();
  return side;
}

function mongoOf(config: Config): Parameters<typeof openUserBots>[0] {
  const { mongoUri: uri, dbName, collectionName, mongoTlsCaFile: caFile, mongoTlsCertFile: certFile } = config;
  return { uri, dbName, collectionName, tls: { caFile, certFile } };
}

void runProgram(process.argv.slice(2), deps).then((code) => {
  process.exitCode = code;
  // After a fault or a second signal a call may still be in hand, such as a stop with a long grace: it keeps nobody waiting.
  if (code !== 0) setTimeout(() => process.exit(), 1_000).unref();
});
