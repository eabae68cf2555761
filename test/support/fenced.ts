import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { FenceFile } from "../../src/process/fence-file.ts";
import { systemClock } from "../../src/process/clock.ts";
import type { MonoMs } from "../../src/core/clock.ts";
import { eventually } from "./eventually.ts";

const FENCE = join(import.meta.dirname, "../../chart/files/fence.sh");
/** What is needed to be root of a namespace of one's own and to end with the test. */
const NAMESPACE = ["--pdeathsig", "KILL", "--", "unshare", "--fork", "--kill-child", "--pid", "--mount", "--mount-proc", "--net"];

export type FencedOptions = {
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Shell lines that run in the namespaces before the fence does. */
  readonly before?: string;
  /** @default sh */
  readonly shell?: readonly string[];
};

/** A fence as PID 1 of namespaces of its own, and the worker's side of its directory. */
export class Fenced {
  readonly dir: string;
  readonly file: FenceFile;
  readonly output: string[] = [];
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  private constructor(dir: string, child: ChildProcess) {
    this.dir = dir;
    this.file = new FenceFile(dir);
    this.#child = child;
    this.#ended = once(child, "close");
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk: Buffer) => this.output.push(chunk.toString()));
  }

  static async start({ command, env = {}, before = "", shell = ["sh"] }: FencedOptions): Promise<Fenced> {
    // In memory, as the directory that worker and fence share always is: a busy disk would stop the fence at its tick.
    const dir = await mkdtemp("/dev/shm/br-fence-");
    const script = `${before}\n! command -v ip >/dev/null || ip link set lo up\nexec ${shell.join(" ")} ${FENCE} "$@"`;
    const child = spawn("setpriv", [...NAMESPACE, "sh", "-c", script, "fence", ...command], {
      env: {
        PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        FENCE_DIR: dir,
        BOT_DENY_CIDRS: "",
        BOT_DENY_PORTS: "",
        ...env,
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    return new Fenced(dir, child);
  }

  /** Gives bots the right to run for so long. */
  allow(ms: number, over: Partial<Parameters<FenceFile["write"]>[0]> = {}): void {
    const reading = systemClock.mono();
    this.file.write({ deadline: (reading + ms) as MonoMs, reading, bootId: this.file.bootId, ...over });
  }

  state(): string | undefined {
    return this.file.readTick()?.state;
  }

  until(state: "up" | "down"): Promise<true> {
    return eventually(
      `the fence is ${state}`,
      async () => this.state() === state || undefined,
      20_000,
      async () => `${this.state()}\n${this.output.join("")}`,
    );
  }

  /** PID 1 as this machine numbers it: the only child of the `unshare` that we started. */
  async pid(): Promise<number> {
    const { pid } = this.#child;
    return eventually(
      "the fence has a process",
      async () => Number((await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).trim()) || undefined,
    );
  }

  /** All processes behind the fence, itself left out: name and state of each. */
  async processes(): Promise<{ readonly pid: number; readonly name: string; readonly state: string }[]> {
    const fence = await this.pid();
    const mine = await namespaceOf(fence);
    const found = await Promise.all(
      (await readdir("/proc"))
        .filter((name) => /^\d+$/.test(name) && Number(name) !== fence)
        .map(async (pid) => {
          // Its own pause between two polls. Looked at first: it may end while we look at the rest.
          const isPause = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")) === ["sleep", "0.2", ""].join("\0");
          const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
          // The second last number is the pid in the namespace above: bots have namespaces of their own inside.
          if (isPause || !(await isInside(pid, mine, status))) return undefined;
          return { pid: Number(pid), name: /^Name:\t(.*)$/m.exec(status)?.[1] ?? "", state: /^State:\t(.)/m.exec(status)?.[1] ?? "" };
        }),
    );
    return found.filter((one) => one !== undefined);
  }

  /** The exit code of `fence.sh probe`, run as the kubelet runs it. */
  async probe(): Promise<number> {
    const child = spawn("nsenter", ["-t", String(await this.pid()), "-p", "-m", "sh", FENCE, "probe"], {
      env: { PATH: process.env.PATH, FENCE_DIR: this.dir },
    });
    const [code] = (await once(child, "close")) as [number];
    return code;
  }

  signal(name: NodeJS.Signals): void {
    void this.pid().then((pid) => process.kill(pid, name));
  }

  get ended(): Promise<unknown> {
    return this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
    await rm(this.dir, { recursive: true, force: true });
  }
}

async function namespaceOf(pid: number | string): Promise<string> {
  return readlink(`/proc/${pid}/ns/pid`).catch(() => "");
}

/** Whether a process lies in that PID namespace or in one below it: then it has a number in more than ours. */
async function isInside(pid: string, namespace: string, status: string): Promise<boolean> {
  if ((await namespaceOf(pid)) === namespace) return true;
  return (/^NSpid:\t(.*)$/m.exec(status)?.[1] ?? "").split("\t").length > 2 && (await parentIsInside(pid, namespace));
}

async function parentIsInside(pid: string, namespace: string): Promise<boolean> {
  for (let at = pid; at !== "0" && at !== "";) {
    if ((await namespaceOf(at)) === namespace) return true;
    const status = await readFile(`/proc/${at}/status`, "utf8").catch(() => "");
    at = /^PPid:\t(\d+)$/m.exec(status)?.[1] ?? "";
  }
  return false;
}

/** A file with these words, for a fence that reads another clock. */
export async function putClock(path: string, hundredths: number): Promise<void> {
  await writeFile(path, `${(hundredths / 100).toFixed(2)} 0.00\n`);
}
