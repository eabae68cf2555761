// A Docker Engine under its fence, as the `docker` container of a pod has it: the fence is PID 1 of a PID namespace, and with
// it go dockerd, shims and bots.
import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";

import type { Say } from "../lib/cache.ts";
import { run, until } from "../lib/command.ts";
import { findProgram, installPackages, systemPath } from "../lib/debian.ts";
import { recordCgroup, removeCgroup } from "../lib/run-dir.ts";
import { sendSignal } from "../lib/send-signal.ts";
import { KeptProcess } from "./kept-process.ts";

const REAL_FENCE = join(import.meta.dirname, "..", "..", "chart", "files", "fence.sh");
const NO_FENCE = join(import.meta.dirname, "fence-off.sh");

/** It dies with this process, and all in it with its first process. */
const inNamespaces = "--pdeathsig KILL -- unshare --fork --kill-child --pid --mount --mount-proc --net".split(" ");

export type FencedEngineOptions = {
  readonly runDir: string;
  readonly say: Say;
  /** Names its directory and cgroup; short, for socket paths have a limit. */
  readonly name: string;
  /** `off`: nothing kills; for the rig's positive control. */
  readonly fence: "on" | "off";
  readonly backOffMs: () => number;
  /** Called with the fence's pid on this machine whenever a new one is up, before dockerd is. */
  readonly onUp: (pid: number) => Promise<void>;
};

export class FencedEngine {
  readonly socket: string;
  readonly fenceDir: string;
  readonly #options: FencedEngineOptions;
  readonly #dir: string;
  readonly #cgroup: string;
  readonly #kept: KeptProcess;
  #plugged: Promise<void> = Promise.resolve();

  private constructor(options: FencedEngineOptions, dockerd: string) {
    const { runDir, name } = options;
    this.#options = options;
    this.#dir = join(runDir, name);
    this.socket = join(this.#dir, "docker.sock");
    this.fenceDir = join(this.#dir, "fence");
    this.#cgroup = `${basename(runDir)}-${name}`;
    const at = (file: string): string => join(this.#dir, file);
    this.#kept = new KeptProcess({
      runDir,
      logPath: at("docker.log"),
      backOffMs: options.backOffMs,
      env: {
        ...withoutDocker(process.env),
        PATH: systemPath,
        FENCE_DIR: this.fenceDir,
        FENCE_UPTIME_FILE: at("uptime"),
        BOT_DENY_CIDRS: "",
        BOT_DENY_PORTS: "",
      },
      command: ["setpriv", ...inNamespaces, ...this.#script(), ...this.#daemon(dockerd)],
      onStart: (pid) => {
        this.#plugged = this.#plug(pid);
        this.#plugged.catch(() => undefined); // told by whoever waits for it
      },
    });
  }

  static async open(options: FencedEngineOptions): Promise<FencedEngine> {
    const locate = async () => ({
      "docker.io": await findProgram("dockerd"),
      tini: await findProgram("tini", "docker-init"),
      iptables: await findProgram("iptables"),
    });
    const missing = Object.entries(await locate()).flatMap(([name, path]) => (path ? [] : [name]));
    await installPackages(missing, options.say);
    const engine = new FencedEngine(options, (await locate())["docker.io"] ?? "dockerd");
    await mkdir(engine.fenceDir, { recursive: true });
    await mkdir(join(engine.#dir, "data"), { recursive: true });
    await writeFile(join(engine.#dir, "dockerd.json"), "{}");
    await engine.setUptime(undefined);
    await recordCgroup(options.runDir, engine.#cgroup);
    // What fence and worker share lies in memory: a busy disk must not end a session.
    await run("mount", ["-t", "tmpfs", "-o", "size=1m", "none", engine.fenceDir]);
    return engine;
  }

  get dockerHost(): string {
    return `unix://${this.socket}`;
  }

  get logPath(): string {
    return this.#kept.logPath;
  }

  /** Starts the fence, and again whenever it ends. dockerd follows once the worker has a lease. */
  async start(): Promise<void> {
    await this.#kept.start();
    await this.#plugged;
  }

  /** From now on an end is an end. */
  hold(): void {
    this.#kept.hold();
  }

  /** Everything in it dies at once; unless held, it comes back. */
  kill(): void {
    this.#kept.signal("SIGKILL");
  }

  /** What the fence takes for the time since boot: this text, or the truth. */
  async setUptime(text: string | undefined): Promise<void> {
    const path = join(this.#dir, "uptime");
    await writeFile(`${path}.fake`, text ?? "");
    await symlink(text === undefined ? "/proc/uptime" : `${path}.fake`, `${path}.new`);
    await rename(`${path}.new`, path);
  }

  /** Signals only dockerd. Returns whether there was one. */
  async signalDaemon(name: NodeJS.Signals): Promise<boolean> {
    let found = false;
    for (const pid of await readdir("/proc")) {
      if (!/^\d+$/.test(pid)) continue;
      const words = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
      if (!/(^|\/)dockerd$/.test(words[0] ?? "") || !words.some((word) => word.startsWith(`${this.#dir}/`))) continue;
      sendSignal(Number(pid), name);
      found = true;
    }
    return found;
  }

  async stop(): Promise<void> {
    await this.#kept.stop();
    await run("umount", ["--lazy", this.fenceDir]).catch(() => undefined);
    await removeCgroup(this.#cgroup);
  }

  #script(): string[] {
    const fence = this.#options.fence === "on" ? REAL_FENCE : NO_FENCE;
    return ["sh", join(import.meta.dirname, "engine-namespace.sh"), join(this.#dir, "etc"), join(this.#dir, "exec"), fence];
  }

  #daemon(dockerd: string): string[] {
    const at = (file: string): string => join(this.#dir, file);
    return [
      [dockerd, "--config-file", at("dockerd.json"), "--data-root", at("data"), "--exec-root", at("exec"), "--pidfile", at("docker.pid")],
      ["-H", `unix://${this.socket}`, "--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", `/${this.#cgroup}`],
      ["--userland-proxy=false", "--live-restore=false", "--log-driver=local", "--icc=false"],
      ["--default-address-pool", "base=10.10.0.0/16,size=24"],
    ].flat();
  }

  /** The child of unshare is the fence, and has the new namespaces. */
  async #plug(pid: number): Promise<void> {
    // Pid files and sockets of an engine that was killed stop the next one.
    await rm(join(this.#dir, "docker.pid"), { force: true });
    const child = await until("the fence's process", 10_000, async () => {
      const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
      const first = Number(children.trim().split(" ")[0]);
      return first > 0 ? first : undefined;
    });
    await this.#options.onUp(child);
  }
}

const withoutDocker = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("DOCKER_")));
