// sink.ts [ADDRESS]: takes the beacons' datagrams and keeps what they say of each life of each bot. A process of its own, in a network namespace
// of its own where `unshare --net` starts it.
import { createSocket } from "node:dgram";
import { once } from "node:events";

import { answerQuestions } from "./companion.ts";
import { readPacket } from "./packet.ts";
import { foldPacket, lostPackets, type Run } from "./runs.ts";

export type SinkAnswers = {
  /** The port it listens on. */
  readonly port: number;
  readonly runs: Run[];
  /** What came and what did not; `foreign`: datagrams that no beacon sends. */
  readonly figures: { readonly came: number; readonly lost: number; readonly foreign: number };
  /** Forgets the lives that ended more than a minute of beacons ago. */
  readonly forget: number;
};

const RECEIVE_BYTES = 8 * 1024 * 1024;
const OLD_MS = 60_000;

const runs = new Map<string, Run>();
let came = 0;
let foreign = 0;
let latest = 0;
/** Lost in lives that are forgotten. */
let lostBefore = 0;

const socket = createSocket("udp4");
socket.on("message", (bytes) => {
  const packet = readPacket(bytes);
  if (packet === undefined) {
    foreign += 1;
    return;
  }
  came += 1;
  latest = Math.max(latest, packet.at);
  const key = `${packet.bot} ${packet.run}`;
  runs.set(key, foldPacket(runs.get(key), packet));
});
const [address = "0.0.0.0"] = process.argv.slice(2);
socket.bind(0, address);
await once(socket, "listening");
// More than the kernel allows is cut down to what it allows.
socket.setRecvBufferSize(RECEIVE_BYTES);

answerQuestions<SinkAnswers>({
  port: () => socket.address().port,
  runs: () => [...runs.values()],
  figures: () => ({ came, lost: lostBefore + lostPackets(runs.values()), foreign }),
  forget: () => {
    for (const [key, run] of runs) {
      if (run.last >= latest - OLD_MS) continue;
      lostBefore += lostPackets([run]);
      runs.delete(key);
    }
    return runs.size;
  },
});
