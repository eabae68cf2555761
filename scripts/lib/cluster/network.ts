// The cluster's network: one bridge in the hub's network namespace, with a link to the machine, to the hub itself and to
// each node. The machine gets one link with one address and forwards nothing, so neither its firewall nor a Docker Engine
// of its own stands between nodes. All addresses are of one 10.N.0.0/16; whoever makes the machine's link owns that N.
import { run } from "../command.ts";
import { systemPath } from "../debian.ts";
import { inNetwork, type Space } from "./space.ts";

export interface Network {
  /** The machine's link; its name tells the N. */
  readonly link: string;
  /** The machine's address on the bridge: servers that pods are to reach, such as a MongoDB, listen here. */
  readonly machine: string;
  /** The API server's. */
  readonly api: string;
  /** The DNS server's, beside the API server: a cut from the one is none from the other. */
  readonly dns: string;
  /** Of all Services; the first address is the API server's Service. */
  readonly services: string;
  readonly apiService: string;
  readonly nodes: readonly NodeAddress[];
}

export interface NodeAddress {
  readonly name: string;
  readonly address: string;
  readonly pods: string;
}

/** The addresses for this N. */
function planNetwork(n: number, nodeNames: readonly string[]): Network {
  return {
    link: `botk${n}`,
    machine: `10.${n}.0.1`,
    api: `10.${n}.0.2`,
    dns: `10.${n}.0.3`,
    services: `10.${n}.240.0/20`,
    apiService: `10.${n}.240.1`,
    nodes: nodeNames.map((name, at) => ({ name, address: `10.${n}.0.${at + 11}`, pods: `10.${n}.${at + 1}.0/24` })),
  };
}

const ip = (args: string): Promise<string> => run("ip", args.split(" "), { env: { ...process.env, PATH: systemPath } });

/** Makes the machine's link to the hub under the first N that nobody uses. */
export async function claimNetwork(hub: Space, nodeNames: readonly string[]): Promise<Network> {
  const taken = `${await ip("-4 -o addr show")}\n${await ip("-4 route show")}`;
  let cause: unknown;
  for (let n = 200; n < 240; n++) {
    if (taken.includes(` 10.${n}.`) || taken.includes(`\n10.${n}.`)) continue;
    const network = planNetwork(n, nodeNames);
    // The kernel gives a name once: another cluster that comes up at this moment takes the next one.
    const made = await ip(`link add ${network.link} type veth peer name machine netns ${hub.pid}`).then(
      () => true,
      (error: unknown) => {
        cause = error;
        return false;
      },
    );
    if (made) return network;
  }
  throw new Error("Cannot make a network: needs the right to add links, and one of 10.200.0.0/16 to 10.239.0.0/16 unused", { cause });
}

/** Joins the machine and the hub. */
export async function joinHub(hub: Space, { link, machine, api, dns, nodes }: Network): Promise<void> {
  const inHub = (args: string) => inNetwork(hub, "ip", args.split(" "));
  await inHub("link add br0 type bridge");
  await inHub("link set machine master br0 up");
  for (const address of [api, dns]) await inHub(`addr add ${address}/24 dev br0`);
  await inHub("link set br0 up");
  await ip(`addr add ${machine}/24 dev ${link}`);
  await ip(`link set ${link} up`);
  // Pods are reached by their own addresses, also from the machine.
  for (const { pods, address } of nodes) {
    await inHub(`route add ${pods} via ${address}`);
    await ip(`route add ${pods} via ${address}`);
  }
}

/** One more address of the hub, for a server that no cut between a node and the API server or the machine may touch. */
export async function addHubAddress(hub: Space, { api }: Network): Promise<string> {
  const address = api.replace(/\.\d+$/, ".4");
  const there = await inNetwork(hub, "ip", ["-4", "-o", "addr", "show", "dev", "br0"]);
  if (!there.includes(` ${address}/`)) await inNetwork(hub, "ip", ["addr", "add", `${address}/24`, "dev", "br0"]);
  return address;
}

/** Joins a node: its eth0 on the bridge, and a route to each other node's pods. */
export async function joinNode(hub: Space, node: Space, { nodes }: Network): Promise<void> {
  const own = nodes.find(({ name }) => name === node.name);
  if (own === undefined) throw new Error(`Cannot join "${node.name}": the network has no address for it`);
  const inNode = (args: string) => inNetwork(node, "ip", args.split(" "));
  await inNetwork(hub, "ip", `link add ${node.name} type veth peer name eth0 netns ${node.pid}`.split(" "));
  await inNetwork(hub, "ip", `link set ${node.name} master br0 up`.split(" "));
  await inNode(`addr add ${own.address}/24 dev eth0`);
  await inNode("link set eth0 up");
  for (const { name, pods, address } of nodes) if (name !== node.name) await inNode(`route add ${pods} via ${address}`);
  for (const [table, hook] of walls) {
    await inNetwork(node, "iptables", ["-w", "-t", table, "-N", wall]);
    await inNetwork(node, "iptables", ["-w", "-t", table, "-I", hook, "-j", wall]);
  }
}

const wall = "BOT-RUNNER-CUT";
// Before the first and after the last thing that happens to a packet, so that neither connections that are open nor the
// translated addresses of Services get through. Nobody else uses these tables.
const walls = [
  ["raw", "PREROUTING", "-i", "-s"],
  ["mangle", "POSTROUTING", "-o", "-d"],
] as const;

/** Drops, without a word to either side, all packets between the node with its pods and these addresses or networks. */
export async function cutOff(node: Space, addresses: readonly string[]): Promise<void> {
  for (const [table, , device, peer] of walls) {
    for (const address of addresses) {
      await inNetwork(node, "iptables", ["-w", "-t", table, "-A", wall, device, "eth0", peer, address, "-j", "DROP"]);
    }
  }
}

/** Takes back all cuts of the node. */
export async function mend(node: Space): Promise<void> {
  for (const [table] of walls) await inNetwork(node, "iptables", ["-w", "-t", table, "-F", wall]);
}

/** Removes the machine's link where the end of the hub has not done so yet. */
export async function removeLink(link: string): Promise<void> {
  await ip(`link del ${link}`).catch(() => undefined);
}
