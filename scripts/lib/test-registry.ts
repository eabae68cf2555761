import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import type { RegistryOrder } from "./registry-server.ts";

export type TestRegistry = AsyncDisposable & {
  /** `127.0.0.1:port`, as the engine sees it; the engine takes plain HTTP from there. */
  readonly host: string;
  /** Requests for manifests and blobs since the last order, up to this moment. */
  asked(): Promise<readonly string[]>;
  /** Requests of any kind since the last order: a refused caller comes no further than the first. */
  requests(): Promise<number>;
  /** Resolves when the registry does so. Forgets what was asked before. */
  obey(order: RegistryOrder): Promise<void>;
};

export type TestRegistryOptions = {
  /** For one that comes back under its old name. @default a free one */
  readonly port?: number;
  /** A static busybox: with it the images can run a shell. */
  readonly busybox?: string;
};

/** Starts the registry inside the network namespace of a private engine, which reaches nothing else. It ends with us. */
export async function startRegistry(dockerHost: string, { port = 0, busybox = "" }: TestRegistryOptions = {}): Promise<TestRegistry> {
  const program = new URL("registry-server.ts", import.meta.url).pathname;
  const inside = ["--target", String(await engineProcess(dockerHost)), "--net"];
  const child = spawn("nsenter", [...inside, process.execPath, program, String(port), busybox], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "exit");
  const asked: string[] = [];
  let requests = 0;
  const { promise: listening, resolve: onPort } = Promise.withResolvers<number>();
  const obeyed: (() => void)[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    const said = JSON.parse(line) as { port?: number; obeyed?: string; method?: string; url?: string };
    if (said.port !== undefined) onPort(said.port);
    else if (said.obeyed !== undefined) obeyed.shift()?.();
    else {
      requests += 1;
      if (said.url !== "/v2/") asked.push(`${said.method} ${said.url}`);
    }
  });
  const first = await Promise.race([listening, ended.then(() => undefined)]);
  if (first === undefined) throw new Error("Cannot start the test registry");
  let last: RegistryOrder = { mode: "serve", generation: 1 };
  const tell = (order: RegistryOrder) =>
    new Promise<void>((resolve) => {
      obeyed.push(resolve);
      child.stdin.write(`${JSON.stringify(order)}\n`);
    });
  return {
    host: `127.0.0.1:${first}`,
    async asked() {
      await tell(last); // its answer comes after all that was asked before
      return [...asked];
    },
    async requests() {
      await tell(last);
      return requests;
    },
    async obey(order) {
      last = order;
      await tell(order);
      asked.length = 0;
      requests = 0;
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await ended;
    },
  };
}

/** The process id of the daemon that listens at this socket, as this process sees it. */
async function engineProcess(dockerHost: string): Promise<number> {
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const words = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
    if (words[0]?.endsWith("dockerd") === true && words.includes(dockerHost)) return Number(pid);
  }
  throw new Error(`Cannot find the process of the engine at "${dockerHost}"`);
}
