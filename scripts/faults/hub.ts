// The network between bots and sink: a bridge in the sink's own network namespace, and a pair of devices for each worker. All
// of it lives in namespaces that end with their processes; the machine's own network is not touched.
import { run } from "../lib/command.ts";
import { findProgram, installPackages } from "../lib/debian.ts";
import type { Say } from "../lib/cache.ts";
import { type Companion, startCompanion } from "./companion.ts";
import type { SinkAnswers } from "./sink.ts";

const SUBNET = "10.99.0";
const SINK_ADDRESS = `${SUBNET}.1`;
const FIRST_SEAT = 10;
const HUB_MAC = "02:00:00:00:00:01";

export type Hub = {
  readonly sink: Companion<SinkAnswers>;
  /** For the beacons' SINK. */
  readonly address: string;
  /** Gives the network namespace of this process a way to the sink. `seat`: from 0, one per worker. */
  readonly plugIn: (pid: number, seat: number) => Promise<void>;
};

export async function startHub(runDir: string, say: Say): Promise<Hub> {
  if (!(await findProgram("ip"))) await installPackages(["iproute2"], say);
  const ip = (await findProgram("ip")) ?? "ip";
  const sink = await startCompanion<SinkAnswers>(runDir, "sink.ts", [], ["unshare", "--net"]);
  const inside = (pid: number, ...words: string[]) => run("nsenter", ["--target", String(pid), "--net", ip, ...words]);
  try {
    await inside(sink.pid, "link", "set", "lo", "up");
    await inside(sink.pid, "link", "add", "hub", "type", "bridge");
    // Of its own, a bridge takes the lowest address of its ports: it would change with each worker that goes, and the others
    // would send to the old one for half a minute.
    await inside(sink.pid, "link", "set", "hub", "address", HUB_MAC);
    await inside(sink.pid, "addr", "add", `${SINK_ADDRESS}/24`, "dev", "hub");
    await inside(sink.pid, "link", "set", "hub", "up");
    const address = `${SINK_ADDRESS}:${await sink.ask("port")}`;
    const plugIn = async (pid: number, seat: number): Promise<void> => {
      const near = `seat${seat}`;
      // The pair of a worker that is no more may still be on its way out: the kernel takes namespaces apart later.
      await inside(sink.pid, "link", "del", near).catch(() => undefined);
      await inside(sink.pid, "link", "add", near, "type", "veth", "peer", "name", "uplink", "netns", String(pid));
      await inside(sink.pid, "link", "set", near, "master", "hub", "up");
      await inside(pid, "addr", "add", `${SUBNET}.${FIRST_SEAT + seat}/24`, "dev", "uplink");
      await inside(pid, "link", "set", "uplink", "up");
    };
    return { sink, address, plugIn };
  } catch (error) {
    await sink.stop();
    throw error;
  }
}
