// A Kubernetes cluster on this machine: a hub and nodes, each in namespaces of its own. What the run directory holds is
// enough to use it and to end it; the process that made it need not live on.
import { mkdir, readFile, readdir, rm } from "node:fs/promises";
import { join } from "node:path";

import { run } from "../command.ts";
import { endStarted } from "../run-dir.ts";
import { buildUp, type ClusterOptions } from "./build-up.ts";
import { auditLog } from "./control-plane.ts";
import { importImages } from "./images.ts";
import { addHubAddress, cutOff, mend, type Network, removeLink } from "./network.ts";
import { nodePrograms } from "./node.ts";
import { boot, crash, freeze, thaw } from "./power.ts";
import { type PublishedImage, publishImage } from "./registry.ts";
import { sendTo, type Space, unwant, want } from "./space.ts";
import { deadSpaces, lockRunDir, readState, type State } from "./state.ts";

/** What a node can be cut off from: the API server, the machine (where a MongoDB listens), the other nodes, or all three. */
export type Cut = "api" | "machine" | "nodes" | "all";

export interface Cluster {
  readonly runDir: string;
  /** Path of the cluster admin's kubeconfig. */
  readonly kubeconfig: string;
  /** Directory with kubectl of the cluster's version. */
  readonly bin: string;
  readonly network: Network;
  readonly nodes: readonly string[];
  /** Path of the API server's audit log: a JSON line for each request, scalings with their bodies. */
  readonly auditLog: string;
  /** Drops all packets between the node with its pods and what it is cut off from, open connections included. Cuts add up. */
  readonly cut: (node: string, what: Cut) => Promise<void>;
  /** Takes back the node's cuts; all nodes' when none is named. */
  readonly heal: (node?: string) => Promise<void>;
  /** Gives all nodes the images of a `docker save` archive. */
  readonly load: (archive: string) => Promise<void>;
  /** Lets bots pull this image, besides `busybox` and their demo's. */
  readonly publish: (image: PublishedImage) => Promise<void>;
  /** Sends a signal to a program, such as "kube-apiserver" of "hub" or "kubelet" of a node. One that ends starts again after 1 s. */
  readonly signal: (space: string, program: string, signal: string) => Promise<void>;
  /** Ends a program until `start`. */
  readonly stop: (space: string, program: string) => Promise<void>;
  readonly start: (space: string, program: string) => Promise<void>;
  /** Stops all that runs on the node, kubelet and bots, until `thaw`. */
  readonly freeze: (node: string) => Promise<void>;
  readonly thaw: (node: string) => Promise<void>;
  /** Kills all that runs on the node, at once; it stays down until `boot`. What it had in memory is there again then. */
  readonly crash: (node: string) => Promise<void>;
  readonly boot: (node: string) => Promise<void>;
  /** The hub's init: a program in its network namespace is reached by pods at `hubAddress`, whatever the nodes are cut off from
   *  but `all`. */
  readonly hubPid: number;
  readonly hubAddress: () => Promise<string>;
  readonly down: () => Promise<void>;
}

/** Brings a cluster up in this run directory, or finds the one that is up there. It lives on when this process ends.
 *  @throws {Error} naming what is missing on this machine; then nothing is left of it. */
export async function bringUp(options: ClusterOptions): Promise<Cluster> {
  const { runDir, say, signal } = options;
  await checkMachine();
  await using _lock = await lockRunDir(runDir);
  const state = await readState(runDir);
  if (state !== undefined) {
    const dead = await deadSpaces(runDir, state);
    if (dead.length === 0) return connect(runDir, state);
    say(`${dead.join(" and ")} of the cluster in ${runDir} ended: starting anew`);
  }
  await endCluster(runDir);
  try {
    return connect(runDir, await buildUp(options));
  } catch (cause) {
    say("the cluster did not come up: taking down what there is");
    await endCluster(runDir);
    if (signal?.aborted) throw new Error("Cannot bring the cluster up: interrupted", { cause });
    throw cause;
  }
}

/** The cluster that is up in this run directory. @throws when there is none. */
export async function findCluster(runDir: string): Promise<Cluster> {
  const state = await readState(runDir);
  if (state === undefined || (await deadSpaces(runDir, state)).length > 0) throw new Error(`Cannot find a running cluster in "${runDir}"`);
  return connect(runDir, state);
}

/** Ends what is left of a cluster, whole or not, and removes its run directory. Its creator need not be alive. */
export async function takeDown(runDir: string): Promise<void> {
  if ((await readdir(runDir).catch(() => [])).length === 0) return;
  await using _lock = await lockRunDir(runDir);
  await endCluster(runDir);
  await rm(runDir, { recursive: true, force: true, maxRetries: 5 });
}

// All but the directory itself and whose it is.
async function endCluster(runDir: string): Promise<void> {
  await endStarted(runDir);
  const link = await readFile(join(runDir, "link"), "utf8").catch(() => undefined);
  if (link !== undefined) await removeLink(link);
  for (const name of await readdir(runDir)) {
    if (["busy", "owner"].includes(name)) continue;
    // Images of many thousand files: seconds, in which nobody else should have to wait.
    await rm(join(runDir, name), { recursive: true, force: true, maxRetries: 5 });
  }
  for (const sub of ["started", "cgroups"]) await mkdir(join(runDir, sub), { recursive: true });
}

async function checkMachine(): Promise<void> {
  if (process.platform !== "linux") throw new MissingError("Cannot run a cluster: needs Linux");
  if (process.getuid?.() !== 0) throw new MissingError("Cannot run a cluster: needs root (kubelets, namespaces, mounts)");
  await run("unshare", ["--fork", "--pid", "--mount", "--net", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).catch((cause: unknown) => {
    throw new MissingError("Cannot run a cluster: needs the right to make network and mount namespaces", { cause });
  });
}

/** The machine lacks something that no package brings. */
export class MissingError extends Error {}

function connect(runDir: string, { network, hub, nodes, bin }: State): Cluster {
  const spaceOf = (name: string): Space => {
    const space = [hub, ...nodes].find((s) => s.name === name);
    if (space === undefined) throw new RangeError(`Cannot find "${name}": there are ${[hub, ...nodes].map((s) => s.name).join(", ")}`);
    return space;
  };
  const addressesOf = (node: string, what: Cut): string[] => {
    const { api, machine } = network;
    const others = network.nodes.filter(({ name }) => name !== node).flatMap(({ address, pods }) => [address, pods]);
    return { api: [api], machine: [machine], nodes: others, all: ["0.0.0.0/0"] }[what];
  };
  return {
    runDir,
    kubeconfig: join(runDir, "kubeconfig"),
    bin,
    network,
    nodes: nodes.map(({ name }) => name),
    auditLog: auditLog(runDir),
    cut: (node, what) => cutOff(spaceOf(node), addressesOf(node, what)),
    heal: async (node) => {
      for (const space of node === undefined ? nodes : [spaceOf(node)]) await mend(space);
    },
    load: async (archive) => {
      await Promise.all(nodes.map((node) => importImages(node, bin, archive)));
    },
    publish: (image) => publishImage(runDir, image),
    signal: (space, program, signal) => sendTo(spaceOf(space), program, signal),
    stop: (space, program) => unwant(spaceOf(space), program),
    start: (space, program) => want(spaceOf(space), program),
    freeze: (node) => freeze(spaceOf(node)),
    thaw: (node) => thaw(spaceOf(node)),
    crash: (node) => crash(spaceOf(node), nodePrograms),
    boot: (node) => boot(spaceOf(node), nodePrograms),
    hubPid: hub.pid,
    hubAddress: () => addHubAddress(hub, network),
    down: () => takeDown(runDir),
  };
}
