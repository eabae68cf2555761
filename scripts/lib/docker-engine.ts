// One dockerd in namespaces of its own, from its start to its end.
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import type { Place } from "./cache.ts";
import { until } from "./command.ts";
import { findProgram, installPackages, systemPath } from "./debian.ts";
import { answers, connectDocker } from "./find-docker.ts";
import { recordCgroup, recordProcess, removeCgroup } from "./run-dir.ts";

export interface EngineOptions extends Place {
  /** `none`: bots reach nothing outside, and the machine's network is not touched. `host`: for `docker build`, whose
   *  steps need the package registries; then there is neither bridge nor iptables rule. @default "none" */
  readonly network?: "none" | "host";
}

/** One engine, until it ends. */
export interface Engine {
  /** For DOCKER_HOST: unix:///... */
  readonly dockerHost: string;
  /** Stable for a data root, different for engines side by side. */
  readonly engineId: string;
  /** Kills what still runs, ends the engine and removes its cgroups. May be called twice. */
  readonly stop: () => Promise<void>;
}

const LOCKED = 75;
const ownNetwork = ["--icc=false", "--default-address-pool", "base=10.10.0.0/16,size=24"];
const hostNetwork = ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"];

export type Programs = { readonly dockerd: string; readonly init: string };

// By package name, so that what is missing can be installed.
const locate = async () => ({
  "docker.io": await findProgram("dockerd"),
  tini: await findProgram("tini", "docker-init"),
  iptables: await findProgram("iptables"),
});

export async function findPrograms({ say }: Place): Promise<Programs> {
  const missing = Object.entries(await locate()).flatMap(([name, path]) => (path ? [] : [name]));
  await installPackages(missing, say);
  const { "docker.io": dockerd, tini: init } = await locate();
  if (!dockerd || !init) throw new Error(`Cannot find dockerd and tini after installing "${missing.join(" ")}"`);
  return { dockerd, init };
}

/** "ended": before it answered. "locked": another run uses this data root. */
export async function startEngine(options: EngineOptions, programs: Programs, root: string): Promise<Engine | "ended" | "locked"> {
  const { runDir } = options;
  const kind = kindOf(options.network);
  const socket = join(runDir, `${kind}.sock`);
  const cgroup = `${basename(runDir)}-${kind}`;
  await mkdir(join(root, "data"), { recursive: true });
  await writeFile(join(runDir, `${kind}d.json`), "{}");
  // Pid files of an engine that was killed stop the next one.
  await rm(join(runDir, `${kind}-exec`), { recursive: true, force: true });
  await rm(join(runDir, `${kind}.pid`), { force: true });
  await recordCgroup(runDir, cgroup);

  const log = openSync(join(runDir, `${kind}d.log`), "w");
  const child = spawn("flock", commandLine(options, programs, root), {
    detached: true,
    stdio: ["pipe", log, log],
    env: { ...withoutDocker(process.env), PATH: systemPath },
  });
  closeSync(log);
  let end: "ended" | "locked" | undefined;
  const ended = new Promise<void>((done) => {
    child.once("error", () => {
      end = "ended";
      done();
    });
    child.once("exit", (code) => {
      end = code === LOCKED ? "locked" : "ended";
      done();
    });
  });
  // The pipe is only ever closed; a write to it after the engine's end is nobody's fault.
  child.stdin?.on("error", () => undefined);
  if (child.pid) await recordProcess(runDir, child.pid);

  const dockerHost = `unix://${socket}`;
  const stop = async () => {
    await killContainers(dockerHost);
    child.stdin?.end();
    const gone = await Promise.race([ended.then(() => true), sleep(20_000, false, { ref: false })]);
    if (!gone) child.kill("SIGKILL");
    await ended;
    await removeCgroup(cgroup);
  };
  try {
    const isUp = async () => end ?? ((await answers(dockerHost, 1000)) ? "up" : undefined);
    const state = await until("the private Docker Engine", 60_000, isUp);
    if (state !== "up") {
      await removeCgroup(cgroup);
      return state;
    }
    const docker = connectDocker(dockerHost);
    const { ID: engineId } = (await docker.info()) as { ID: string };
    let stopping: Promise<void> | undefined;
    return { dockerHost, engineId, stop: () => (stopping ??= stop()) };
  } catch (cause) {
    await stop();
    throw new Error("Cannot start a private Docker Engine", { cause });
  }
}

/** flock, unshare, an init, docker-namespace.sh, dockerd: each starts the next. */
function commandLine({ runDir, network = "none" }: EngineOptions, programs: Programs, root: string): string[] {
  const kind = kindOf(network);
  const engine = [
    [programs.dockerd, "--config-file", join(runDir, `${kind}d.json`), "--data-root", join(root, "data")],
    ["--exec-root", join(runDir, `${kind}-exec`), "--pidfile", join(runDir, `${kind}.pid`), "-H", `unix://${join(runDir, `${kind}.sock`)}`],
    ["--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", `/${basename(runDir)}-${kind}`],
    ["--userland-proxy=false", "--live-restore=false", "--log-driver=local"],
    network === "none" ? ownNetwork : hostNetwork,
  ].flat();
  const inside = ["sh", join(import.meta.dirname, "docker-namespace.sh"), join(root, "etc"), ...engine];
  const namespaces = ["--pid", "--mount", "--mount-proc", ...(network === "none" ? ["--net"] : [])];
  const init = ["unshare", "--fork", "--kill-child", ...namespaces, programs.init, "--", ...inside];
  // The lock is held by an inherited descriptor: it ends with the last process of the namespace, and not before.
  return ["--nonblock", "--no-fork", "--conflict-exit-code", String(LOCKED), join(root, "lock"), ...init];
}

export const kindOf = (network: EngineOptions["network"]) => (network === "host" ? "builder" : "docker");

// Otherwise the engine would wait up to ten seconds for containers that ignore SIGTERM.
async function killContainers(dockerHost: string): Promise<void> {
  if (!(await answers(dockerHost, 1000))) return;
  const docker = connectDocker(dockerHost);
  const running = await docker.listContainers().catch(() => []);
  await Promise.allSettled(running.map((c) => docker.getContainer(c.Id).kill({ abortSignal: AbortSignal.timeout(5000) })));
}

const withoutDocker = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("DOCKER_")));
