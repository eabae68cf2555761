// A Kubernetes cluster on this machine, for tests and for trying the chart. Standard output is for other programs
// (`eval "$(scripts/cluster up)"`), progress goes to standard error.
import { setMaxListeners } from "node:events";
import { resolve } from "node:path";
import { parseArgs } from "node:util";

import { openCache, type Say } from "./lib/cache.ts";
import { isThere, openApi, readiness } from "./lib/cluster/api.ts";
import { bringUp, type Cut, findCluster, MissingError, takeDown } from "./lib/cluster/cluster.ts";
import { hubPrograms } from "./lib/cluster/control-plane.ts";
import { lastLines } from "./lib/cluster/space.ts";
import { BusyError, deadSpaces, readState } from "./lib/cluster/state.ts";
import { buildCluster } from "./lib/cluster/tools-and-images.ts";
import { openRun } from "./lib/run-dir.ts";

const help = `Usage: scripts/cluster COMMAND [--run-dir DIR]

A Kubernetes cluster on this machine: etcd, API server (RBAC), controllers, scheduler, DNS, and nodes with a kubelet, a
kube-proxy and a containerd each, every one in a network namespace of its own. Names of Services resolve; those of the world
outside are said not to exist, for pods reach this machine and nothing beyond. Nothing is installed for good but small
Debian packages; what is built lies in the cache (BOT_RUNNER_CACHE, else ~/.cache/bot-runner). Needs root.

  up [--bare] [--nodes N]    bring it up (again: nothing happens) and print the KUBECONFIG line:
                               eval "$(scripts/cluster up)"
                             --bare leaves out the images runtime:latest, docker:dind and mongo:7 (the latter two are stand-ins)
  down                       end it, also when what brought it up was killed
  status                     what runs; exit code 3 when it is not up
  cut NODE WHAT              drop all packets between a node and WHAT: api, machine, nodes or all
  heal [NODE]                take back its cuts; all nodes' without a name
  load ARCHIVE               give all nodes the images of a "docker save" archive
  tools                      build everything up needs, helm 3 and helm 4 too, and print their directory

  --run-dir DIR              another cluster beside the first [default: /tmp/bot-runner-cluster-UID]

The first up builds Kubernetes from Go modules: 10 to 15 minutes on two cores; after that it takes about half a minute.
Exit codes: 0 done, 1 failed, 3 not up (status), 64 wrong usage, 69 this machine lacks something, 75 another scripts/cluster
works on the same run directory, 130 interrupted.
`;

const say: Say = (line) => console.error(`-- ${line}`);
const interrupt = new AbortController();
setMaxListeners(50, interrupt.signal);
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, () => interrupt.abort(new Error(name)));

class UsageError extends Error {}

function read(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        "run-dir": { type: "string", default: `/tmp/bot-runner-cluster-${process.getuid?.() ?? 0}` },
        bare: { type: "boolean", default: false },
        nodes: { type: "string", default: "2" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

async function main(): Promise<number> {
  const { values, positionals } = read(process.argv.slice(2));
  const [command, ...words] = positionals;
  if (values.help || command === undefined) {
    console.log(help);
    return values.help ? 0 : 64;
  }
  const runDir = resolve(values["run-dir"]);
  const began = performance.now();
  const seconds = () => `${((performance.now() - began) / 1000).toFixed(1)} s`;
  const wants = (least: number, most = least) => {
    if (words.length < least || words.length > most) throw new UsageError(`Cannot take ${words.length} words after "${command}"`);
  };
  switch (command) {
    case "up": {
      wants(0);
      const count = Number(values.nodes);
      if (!Number.isInteger(count) || count < 1 || count > 9) throw new UsageError(`Cannot take --nodes "${values.nodes}": needs 1 to 9`);
      const nodes = Array.from({ length: count }, (_, at) => `n${at + 1}`);
      const place = { runDir, cacheDir: await openCache(process.env), say, signal: interrupt.signal };
      const cluster = await bringUp({ ...place, nodes, productImages: !values.bare });
      say(`up in ${seconds()}: ${cluster.nodes.join(", ")}; servers that pods are to reach listen on ${cluster.network.machine}`);
      say("bots can have the images busybox (any tag) and bot-runner/demo-bot:1");
      say(`kubectl of its version: ${cluster.bin}/kubectl`);
      console.log(`export KUBECONFIG=${cluster.kubeconfig}`);
      return 0;
    }
    case "down":
      wants(0);
      await takeDown(runDir);
      say(`down in ${seconds()}`);
      return 0;
    case "status":
      wants(0);
      return status(runDir);
    case "cut": {
      wants(2);
      const [node = "", what = ""] = words;
      if (!["api", "machine", "nodes", "all"].includes(what))
        throw new UsageError(`Cannot cut "${what}": needs api, machine, nodes or all`);
      await (await findCluster(runDir)).cut(node, what as Cut);
      return 0;
    }
    case "heal":
      wants(0, 1);
      await (await findCluster(runDir)).heal(words[0]);
      return 0;
    case "load":
      wants(1);
      await (await findCluster(runDir)).load(resolve(words[0] ?? ""));
      say(`loaded in ${seconds()}`);
      return 0;
    case "tools": {
      wants(0);
      const bin = await buildAll();
      say(`all there in ${seconds()}`);
      console.log(bin);
      return 0;
    }
    default:
      throw new UsageError(`Cannot do "${command}"`);
  }
}

async function buildAll(): Promise<string> {
  const run = await openRun();
  try {
    return await buildCluster({ runDir: run.dir, cacheDir: await openCache(process.env), say, signal: interrupt.signal });
  } finally {
    await run.remove();
  }
}

async function status(runDir: string): Promise<number> {
  const state = await readState(runDir);
  if (state === undefined) {
    console.log(`no cluster in ${runDir}`);
    return 3;
  }
  const dead = await deadSpaces(runDir, state);
  const get = await openApi(runDir, state.network.api);
  const isUp = !dead.includes("hub") && ((await isThere(get, "/readyz")) ?? false);
  console.log(`API server https://${state.network.api}:6443: ${isUp ? "ready" : "not ready"}`);
  let whole = isUp;
  for (const node of state.nodes) {
    const condition = dead.includes(node.name) ? "ended" : isUp ? ((await readiness(get, node.name)) ?? "not registered") : "unknown";
    console.log(`${node.name}: ${condition} (init ${node.pid}; logs ${node.dir}/log)`);
    whole &&= condition === "Ready";
  }
  if (!isUp) for (const name of hubPrograms) console.log(`${name}: ${await lastLines(state.hub, name, 2)}`);
  console.log(`machine's address on the bridge: ${state.network.machine}`);
  console.log(`export KUBECONFIG=${runDir}/kubeconfig`);
  return whole ? 0 : 3;
}

/** The exit code that says what kind of failure it was. */
function codeOf(error: unknown): number {
  if (interrupt.signal.aborted) return 130;
  if (error instanceof UsageError) return 64;
  if (error instanceof MissingError) return 69;
  if (error instanceof BusyError) return 75;
  return 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) console.error(cause.message);
  if (error instanceof UsageError) console.error(`\n${help}`);
  process.exitCode = codeOf(error);
}
