// How a cluster comes up, part by part.
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

import type { Place } from "../cache.ts";
import { BOT_IMAGE } from "../bot-image.ts";
import { until } from "../command.ts";
import { isThere, openApi, readiness } from "./api.ts";
import { makeCertificates } from "./certificates.ts";
import { controlPlanePrograms, controlPlaneSubjects, hubPrograms, writeControlPlaneFiles } from "./control-plane.ts";
import { busyboxFiles, callContainerd, ensureProductImages, importImages, writeSmallImages } from "./images.ts";
import { publishImage } from "./registry.ts";
import { answersDns, grantDns } from "./dns.ts";
import { claimNetwork, joinHub, joinNode } from "./network.ts";
import { nodePrograms, nodeSubject, programsOfNode, writeNodeFiles } from "./node.ts";
import { lastLines, openSpace, type Space, want, writePrograms } from "./space.ts";
import { type State, writeState } from "./state.ts";
import { ensureTools } from "./tools.ts";

export interface ClusterOptions extends Place {
  /** Names of the nodes. @default ["n1", "n2"] */
  readonly nodes?: readonly string[];
  /** Also the runtime's image and docker:dind, which take minutes the first time. @default false */
  readonly productImages?: boolean;
  readonly signal?: AbortSignal;
}

/** Brings a cluster up in an empty run directory and says how long each part took. What a failure leaves is the caller's to
 *  take down. */
export async function buildUp(options: ClusterOptions): Promise<State> {
  const { runDir, say, signal } = options;
  const names = options.nodes ?? ["n1", "n2"];
  const clock = stopwatch(say);
  const tools = await ensureTools(options);
  const product = options.productImages === true ? await ensureProductImages(options, process.env) : undefined;
  clock("what it is made of");
  signal?.throwIfAborted();

  const path = [tools.bin, tools.plugins, dirname(tools.runc)];
  const space = (name: string, programs: readonly string[], isNode: boolean) => openSpace({ runDir, name, programs, path, isNode });
  // All of them settle before any failure is acted on: what starts later would outlive the taking down.
  const [first, ...others] = await Promise.allSettled([
    space("hub", hubPrograms, false),
    ...names.map((name) => space(name, nodePrograms, true)),
  ]);
  const hub = opened(first);
  const nodes = others.map(opened);
  const network = await claimNetwork(hub, names);
  await writeFile(join(runDir, "link"), network.link);
  await joinHub(hub, network);
  for (const node of nodes) await joinNode(hub, node, network);
  clock(`namespaces and network (${network.machine.replace(/0\.1$/, "0.0")}/16)`);
  signal?.throwIfAborted();

  await makeCertificates(join(runDir, "pki"), [...controlPlaneSubjects(network), ...network.nodes.map(nodeSubject)]);
  await writeControlPlaneFiles({ runDir, tools, network });
  await writePrograms(hub, controlPlanePrograms({ runDir, tools, network }));
  for (const program of hubPrograms) if (program !== "coredns") await want(hub, program);
  for (const [at, node] of nodes.entries()) {
    const address = network.nodes[at];
    if (address === undefined) continue;
    await writeNodeFiles({ runDir, tools }, network, address);
    await writePrograms(node, programsOfNode({ runDir, tools }, address));
    await want(node, "containerd");
  }
  clock("certificates and configuration");

  const files = await busyboxFiles(tools.busybox);
  const small = await writeSmallImages(runDir, files);
  for (const image of ["busybox:*", BOT_IMAGE])
    await publishImage(runDir, { image, files, config: { Cmd: ["/bin/sh"], Env: ["PATH=/bin"] } });
  const get = await openApi(runDir, network.api);
  await Promise.all([
    ...nodes.map(async (node) => {
      await seen(node, "containerd", 60_000, signal, () => answersCtr(node, tools.bin));
      await importImages(node, tools.bin, small);
    }),
    seen(hub, "kube-apiserver", 120_000, signal, () => isThere(get, "/readyz")),
  ]);
  clock("control plane and containerd");
  await grantDns(runDir, tools.bin);
  await want(hub, "coredns");
  for (const node of nodes) for (const program of ["kubelet", "kube-proxy"]) await want(node, program);
  await Promise.all([
    ...nodes.map((node) => seen(node, "kubelet", 120_000, signal, async () => (await readiness(get, node.name)) === "Ready" || undefined)),
    // Without it no pod is let in.
    seen(hub, "kube-controller-manager", 60_000, signal, () => isThere(get, "/api/v1/namespaces/default/serviceaccounts/default")),
    seen(hub, "coredns", 60_000, signal, () => answersDns(network)),
  ]);
  clock(`${nodes.length} nodes and DNS ready`);
  if (product !== undefined) {
    await Promise.all(nodes.map((node) => importImages(node, tools.bin, product)));
    clock("images of the product in both nodes");
  }
  signal?.throwIfAborted();
  const state = { network, hub, nodes, bin: tools.bin };
  await writeState(runDir, state);
  return state;
}

function opened(result: PromiseSettledResult<Space>): Space {
  if (result.status === "rejected") throw result.reason;
  return result.value;
}

const answersCtr = (node: Space, bin: string): Promise<true | undefined> =>
  callContainerd(node, bin, ["version"]).then(
    () => true,
    () => undefined,
  );

// What does not come up says why in its log.
async function seen(
  space: Space,
  program: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
  look: () => Promise<true | undefined>,
): Promise<void> {
  await until(`${program} of ${space.name} at work`, timeoutMs, () => {
    signal?.throwIfAborted();
    return look();
  }).catch(async (cause: unknown) => {
    throw new Error(`Cannot start ${program} of ${space.name}; its log ends with:\n${await lastLines(space, program)}`, { cause });
  });
}

function stopwatch(say: Place["say"]): (what: string) => void {
  let last = performance.now();
  return (what) => {
    const now = performance.now();
    say(`${((now - last) / 1000).toFixed(1)} s: ${what}`);
    last = now;
  };
}
