// A machine in an emulator that boots a Debian kernel and runs one script: everything lies in its initial memory disk.
import { type ChildProcess, spawn } from "node:child_process";
import { chmod, copyFile, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { createInterface } from "node:readline";

import type { Place } from "../lib/cache.ts";
import { run } from "../lib/command.ts";
import { fetchPackageFile, findProgram, installPackages } from "../lib/debian.ts";

const EMULATOR = "qemu-system-x86_64";

export interface MachineOptions extends Place {
  /** Programs of this machine, and the names that they get in `/bin`. Their libraries come with them. */
  readonly programs: Readonly<Record<string, string>>;
  /** Files by their path in the machine. */
  readonly files: Readonly<Record<string, string>>;
  /** Becomes `/init`; busybox is there, and has no links yet. */
  readonly init: string;
  readonly memoryMb: number;
}

/** What boots: @throws where the emulator or the kernel cannot be had. */
export interface Bootable {
  readonly kernel: string;
  readonly disk: string;
  readonly memoryMb: number;
}

export async function buildMachine(options: MachineOptions): Promise<Bootable> {
  const { runDir, cacheDir, say, programs, files, init, memoryMb } = options;
  if ((await findProgram(EMULATOR)) === undefined) await installPackages(["qemu-system-x86"], say);
  const kernel = await fetchKernel({ cacheDir, say });
  const busybox = await fetchPackageFile({ cacheDir, say }, "busybox-static", "bin/busybox");
  const root = join(runDir, "root");
  for (const dir of ["bin", "dev", "proc", "sys", "tmp", "run", "var/lib"]) await mkdir(join(root, dir), { recursive: true });
  await put(busybox, join(root, "bin/busybox"));
  await symlink("busybox", join(root, "bin/sh"));
  for (const [name, path] of Object.entries(programs)) await put(path, join(root, "bin", name));
  for (const library of await librariesOf(Object.values(programs))) await put(library, join(root, library));
  for (const [path, from] of Object.entries(files)) await put(from, join(root, path));
  await writeFile(join(root, "init"), init);
  await chmod(join(root, "init"), 0o755);
  const disk = join(runDir, "disk.cpio");
  await run("sh", ["-c", 'cd "$1" && find . | "$2" cpio -o -H newc >"$3"', "pack", root, busybox, disk]);
  return { kernel, disk, memoryMb };
}

/** Debian's kernel for clouds: the package without a version names the one that has it. */
async function fetchKernel(place: Omit<Place, "runDir">): Promise<string> {
  const depends = async () => /linux-image-(\S+-cloud-amd64)/.exec(await run("apt-cache", ["depends", "linux-image-cloud-amd64"]))?.[1];
  const version = await depends().catch(async () => {
    await run("apt-get", ["update"]);
    return depends();
  });
  if (version === undefined) throw new Error("Cannot find a kernel: the package linux-image-cloud-amd64 names none");
  return fetchPackageFile(place, `linux-image-${version}`, `boot/vmlinuz-${version}`);
}

async function put(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await copyFile(from, to);
}

/** Shared libraries, with the loader. A program that needs none has none. */
async function librariesOf(programs: readonly string[]): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (const program of programs) {
    const listed = await run("ldd", [program]).catch(() => "");
    for (const [, path = ""] of listed.matchAll(/(?:=> |^\t)(\/\S+) \(0x/gm)) found.add(path);
  }
  return found;
}

/** Boots it and hands over each line that it prints, until it powers off or the limit is over. All is emulated, which is slow and works
 *  anywhere: with the processor's help the emulator fails on machines that are virtual themselves. */
export async function boot({ kernel, disk, memoryMb }: Bootable, limitMs: number, onLine: (line: string) => void): Promise<"off" | "late"> {
  const emulator = (await findProgram(EMULATOR)) ?? EMULATOR;
  const args = [
    ["-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio", "-m", `${memoryMb}M`, "-smp", "2"],
    ["-machine", "q35,accel=tcg", "-cpu", "max", "-kernel", kernel, "-initrd", disk],
    ["-append", "console=ttyS0 loglevel=4 panic=-1 rdinit=/init"],
  ].flat();
  const child: ChildProcess = spawn("setpriv", ["--pdeathsig", "KILL", "--", emulator, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise<"off">((resolve, reject) => child.once("error", reject).once("close", () => resolve("off")));
  if (child.stdout) createInterface(child.stdout).on("line", onLine);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<"late">((resolve) => (timer = setTimeout(() => resolve("late"), limitMs)));
  try {
    return await Promise.race([ended, late]);
  } finally {
    clearTimeout(timer);
    child.kill("SIGKILL");
    await ended.catch(() => undefined);
  }
}

/** As the machine calls it. */
export const kernelVersion = (kernel: string): string => basename(kernel).replace("vmlinuz-", "");

export const readScript = (name: string): Promise<string> => readFile(join(import.meta.dirname, name), "utf8");
