// A space is a set of namespaces (pid, mount, network) with an init, which stands for one machine of the cluster. All that
// runs in it, its mounts, links and firewall rules end with the init: to take a cluster down is to end its inits.
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { chmod, mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { run, until } from "../command.ts";
import { findProgram, systemPath } from "../debian.ts";
import { recordProcess } from "../run-dir.ts";

export interface Space {
  readonly name: string;
  /** Its files: programs/, log/NAME.log, and what its maker adds. */
  readonly dir: string;
  /** The init's, as the machine counts. */
  readonly pid: number;
}

/** A program of a space and its arguments. */
export type Program = readonly [path: string, ...args: string[]];

export interface SpaceOptions {
  readonly runDir: string;
  readonly name: string;
  /** Names of what it can run. */
  readonly programs: readonly string[];
  /** Directories that its programs find before those of the system. */
  readonly path: readonly string[];
  /** With the mounts that a kubelet needs. */
  readonly isNode: boolean;
}

/** Starts the namespaces; a program runs from `want` on, after `writePrograms`. */
export async function openSpace(options: SpaceOptions): Promise<Space> {
  const dir = join(options.runDir, options.name);
  for (const sub of ["programs", "wanted", "pids", "log"]) await mkdir(join(dir, sub), { recursive: true });
  if (options.isNode) await writeFile(join(dir, "is-node"), "");
  const init = await findProgram("tini", "docker-init");
  if (init === undefined) throw new Error("Cannot find tini");
  const inside = [init, "--", "sh", join(import.meta.dirname, "space-init.sh"), dir, ...options.programs];
  const namespaces = ["--fork", "--kill-child", "--pid", "--mount", "--net", "--mount-proc"];
  const log = openSync(join(dir, "log", "init.log"), "a");
  const child = spawn("sh", [join(import.meta.dirname, "space.sh"), dir, "unshare", ...namespaces, ...inside], {
    detached: true,
    stdio: ["ignore", log, log],
    env: { PATH: [...options.path, systemPath].join(":"), HOME: "/root", LANG: "C.UTF-8" },
  });
  closeSync(log);
  let fault: Error | undefined;
  child.once("error", (error) => (fault = error));
  child.once("exit", () => (fault ??= new Error("Cannot keep its init running")));
  child.unref();
  const pid = await until(`the namespaces of ${options.name}`, 30_000, async () => {
    if (fault !== undefined) {
      const said = await lastLines({ dir }, "init");
      throw new Error(`Cannot start the namespaces of ${options.name}: ${said}`, { cause: fault });
    }
    if (!(await exists(join(dir, "ready")))) return undefined;
    const children = await readFile(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").catch(() => "");
    return Number(children.trim().split(" ")[0]) || undefined;
  });
  // It ends with its parent, but only the end of the init says that everything in the space has ended.
  await recordProcess(options.runDir, pid);
  return { name: options.name, dir, pid };
}

/** Says what the space's programs are: scripts that a person can read and run. */
export async function writePrograms({ dir }: Space, programs: Readonly<Record<string, Program>>): Promise<void> {
  for (const [name, words] of Object.entries(programs)) {
    const path = join(dir, "programs", name);
    const quoted = words.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(" \\\n  ");
    await writeFile(path, `#!/bin/sh\nexec ${quoted}\n`);
    await chmod(path, 0o755);
  }
}

/** Lets the space's program run, and run again whenever it ends. */
export const want = ({ dir }: Space, name: string): Promise<void> => writeFile(join(dir, "wanted", name), "");

/** Ends the space's program until `want`: by SIGTERM, and after 3 s by SIGKILL, for an API server waits a minute for those
 *  that watch it. */
export async function unwant(space: Space, name: string): Promise<void> {
  await rm(join(space.dir, "wanted", name), { force: true });
  const runs = () => exists(join(space.dir, "pids", name));
  for (const signal of ["TERM", "KILL"]) {
    // It may be between an end and its next start, with nobody to send to.
    await sendTo(space, name, signal).catch(async (error: unknown) => {
      if (await runs()) throw error;
    });
    const ended = until(`the end of ${name}`, signal === "TERM" ? 3000 : 30_000, async () => !(await runs()) || undefined);
    if (signal === "KILL") await ended;
    else if (await ended.catch(() => false)) return;
  }
}

/** Sends a signal, such as STOP or KILL, to the space's program. @throws when it does not run. */
export async function sendTo(space: Space, name: string, signal: string): Promise<void> {
  await inSpace(space, "sh", ["-c", `kill -${signal} "$(cat "$1")"`, "sh", join(space.dir, "pids", name)]);
}

/** Runs a command in all namespaces of the space, to its end. */
export const inSpace = ({ pid }: Space, command: string, args: readonly string[]): Promise<string> =>
  run("nsenter", ["--target", String(pid), "--pid", "--mount", "--net", "--", command, ...args], {
    env: { ...process.env, PATH: systemPath },
  });

/** Runs a command in the network namespace of the space alone: pids and files are the machine's. */
export const inNetwork = ({ pid }: Space, command: string, args: readonly string[]): Promise<string> =>
  run("nsenter", ["--target", String(pid), "--net", "--", command, ...args], { env: { ...process.env, PATH: systemPath } });

/** The last lines of a program's log. */
export async function lastLines({ dir }: Pick<Space, "dir">, name: string, count = 8): Promise<string> {
  const log = await readFile(join(dir, "log", `${name}.log`), "utf8").catch(() => "");
  return log.trim().split("\n").slice(-count).join("\n");
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
