// One worker of the fleet: a runtime process, its own way to MongoDB, and its own engine under its own fence.
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";

import type { Say } from "../lib/cache.ts";
import { type DockerProxy, proxyDocker } from "../lib/docker-proxy.ts";
import type { Profile } from "./bounds.ts";
import { FencedEngine } from "./fenced-engine.ts";
import type { Hub } from "./hub.ts";
import { KeptProcess } from "./kept-process.ts";
import { StoreLink } from "./store-link.ts";

/** What every runtime of the rig has. */
const BASE_ENV = {
  PATH: process.env["PATH"],
  HOME: process.env["HOME"],
  COORDINATION: "mongo",
  HTTP_PORT: "0",
  LOG_FORMAT: "json",
} as const;
const main = join(import.meta.dirname, "..", "..", "src", "main.ts");

export type SeatOptions = {
  readonly runDir: string;
  readonly say: Say;
  /** From 0. */
  readonly index: number;
  readonly fence: "on" | "off";
  readonly hub: Hub;
  readonly mongoPort: number;
  readonly dbName: string;
  readonly profile: Profile;
  readonly random: () => number;
  /** Added to the runtime's environment. */
  readonly env?: NodeJS.ProcessEnv;
};

export class Seat {
  readonly name: string;
  readonly engine: FencedEngine;
  readonly link: StoreLink;
  /** Between runtime and engine. */
  readonly docker: DockerProxy;
  readonly runtime: KeptProcess;
  /** How each life of the runtime ended, oldest first. */
  readonly ends: (number | string)[] = [];

  private constructor(
    { name, engine, link, docker }: Pick<Seat, "name" | "engine" | "link" | "docker">,
    { runDir, dbName, profile, random, env }: SeatOptions,
  ) {
    this.name = name;
    this.engine = engine;
    this.link = link;
    this.docker = docker;
    this.runtime = new KeptProcess({
      runDir,
      command: [process.execPath, main],
      logPath: join(runDir, `${name}.log`),
      backOffMs: () => backOffMs(random),
      onEnd: (how) => void this.ends.push(how),
      env: {
        ...BASE_ENV,
        MONGO_URI: `mongodb://127.0.0.1:${link.port}/?directConnection=true`,
        DB_NAME: dbName,
        DOCKER_HOST: docker.at,
        STATE_DIR: join(runDir, name, "state"),
        FENCE_DIR: engine.fenceDir,
        POD_NAME: name,
        TIMINGS: profile,
        ...env,
      },
    });
  }

  static async open(options: SeatOptions): Promise<Seat> {
    const { runDir, say, index, fence, hub, mongoPort, random } = options;
    const name = `w${index}`;
    await mkdir(join(runDir, name, "state"), { recursive: true });
    const link = await StoreLink.open(mongoPort);
    const engine = await FencedEngine.open({
      runDir,
      say,
      name,
      fence,
      backOffMs: () => backOffMs(random),
      onUp: (pid) => hub.plugIn(pid, index),
    });
    const docker = await proxyDocker(engine.dockerHost, join(runDir, name, "proxy.sock"));
    return new Seat({ name, engine, link, docker }, options);
  }

  async start(): Promise<void> {
    await this.engine.start();
    await this.runtime.start();
  }

  /** The pod is lost: runtime and engine die, and nothing comes back before `start`. */
  async lose(): Promise<void> {
    this.runtime.hold();
    this.engine.hold();
    this.runtime.signal("SIGKILL");
    this.engine.kill();
    await this.runtime.ended();
  }

  /** The last lines that the runtime wrote. */
  async lastLines(count: number): Promise<string[]> {
    const text = await readFile(this.runtime.logPath, "utf8").catch(() => "");
    return text.trimEnd().split("\n").slice(-count);
  }

  async stop(): Promise<void> {
    await this.runtime.stop();
    await this.engine.stop();
    await this.docker.stop();
    await this.link.stop();
  }
}

/** Starts a runtime of another fleet on a database and gives how it ended. @throws {Error} when it does not end */
export async function startForeigner(options: {
  readonly runDir: string;
  /** With a directory `fence` in it. */
  readonly dir: string;
  readonly mongoUri: string;
  readonly dbName: string;
  readonly limitMs: number;
}): Promise<number | string | undefined> {
  const { runDir, dir, mongoUri, dbName, limitMs } = options;
  const foreigner = new KeptProcess({
    runDir,
    command: [process.execPath, main],
    logPath: join(dir, "runtime.log"),
    backOffMs: () => 0,
    env: {
      ...BASE_ENV,
      NAMESPACE: "elsewhere",
      MONGO_URI: mongoUri,
      DB_NAME: dbName,
      DOCKER_HOST: `unix://${join(dir, "docker.sock")}`,
      STATE_DIR: join(dir, "state"),
      FENCE_DIR: join(dir, "fence"),
      POD_NAME: "foreigner",
    },
  });
  await foreigner.start();
  foreigner.hold();
  const limit = setTimeout(() => foreigner.signal("SIGKILL"), limitMs);
  const how = await foreigner.ended();
  clearTimeout(limit);
  await foreigner.stop();
  return how;
}

/** A kubelet's first restart of a container comes after about so long, in ms. */
function backOffMs(random: () => number): number {
  return 500 + 1_500 * random();
}
