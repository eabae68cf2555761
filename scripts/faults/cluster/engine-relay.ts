// A relay between the runtime of a pod that runs already and its Engine.
import { chmod, chown, link, rename, stat } from "node:fs/promises";
import { join } from "node:path";

import { run } from "../../lib/command.ts";
import type { Pod } from "../../lib/cluster/pods.ts";
import { type DockerProxy, proxyDocker } from "../../lib/docker-proxy.ts";
import { pidsOf } from "./pod-processes.ts";

/** What the chart has the Engine listen on. */
const SOCKET_DIR = "/run/docker-socket";
const SOCKET = "docker.sock";
const breaker = join(import.meta.dirname, "break-calls.py");

/** Takes the place of the Engine's socket, and breaks the connections that the runtime has, so that it comes through the relay from
 *  now on. Stopped, all is as before. @throws {Error} when a part of the pod does not run */
export async function relayEngine(pod: Pod): Promise<Pick<DockerProxy, "counts" | "loseReplies" | "stop">> {
  const [runtime, fence] = await pidsOf(pod, ["runtime", "fence"]);
  const at = (name: string): string => `/proc/${fence}/root${SOCKET_DIR}/${name}`;
  const [taken, engine, own] = [at(SOCKET), at("engine.sock"), at("relay.sock")];
  const proxy = await proxyDocker(`unix://${engine}`, own);
  const { mode, uid, gid } = await stat(taken);
  await chown(own, uid, gid);
  await chmod(own, mode & 0o777);
  await link(taken, engine);
  // At every moment there is one of the two.
  await rename(own, taken);
  const stop = async (): Promise<void> => {
    await rename(engine, taken);
    await proxy.stop();
  };
  try {
    await run("python3", [breaker, String(runtime), `${SOCKET_DIR}/${SOCKET}`]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { ...proxy, stop };
}
