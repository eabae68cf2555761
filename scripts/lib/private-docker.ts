// A Docker Engine of our own that leaves nothing: it lives in its own pid, mount and net namespaces, which take its
// shims, mounts, bridges and iptables rules with them when its init ends. See docker-namespace.sh for the watch that
// ends it when this process dies.
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";

import { until } from "./command.ts";
import { type Engine, type EngineOptions, findPrograms, kindOf, type Programs, startEngine } from "./docker-engine.ts";
import { connectDocker } from "./find-docker.ts";
import { holdLock } from "./hold-lock.ts";

export interface PrivateDocker extends Engine {
  /** Ends the engine, if it has not ended yet, and starts another on the same data, with the containers that this one held. */
  readonly restart: () => Promise<void>;
}

export async function startPrivateDocker(options: EngineOptions): Promise<PrivateDocker> {
  const programs = await findPrograms(options);
  const kind = kindOf(options.network);
  // Images survive in the cache, so a second run is quick. Two runs at once each have a data root of their own, and keep it
  // while their engine is away: a restart is on the same data, whoever else starts one meanwhile.
  for (let slot = 1; slot <= 16; slot++) {
    const root = join(options.cacheDir, `${kind}-${slot}`);
    await mkdir(root, { recursive: true });
    const reserved = await holdLock(join(root, "reserved"));
    if (reserved === undefined) continue;
    const engine = await startFresh(options, programs, root).catch(async (error: unknown) => {
      await reserved.release();
      throw error;
    });
    if (engine !== "locked" && engine !== "ended") return keepEngine(engine, () => startEngine(options, programs, root), reserved.release);
    await reserved.release();
    if (engine === "ended") break;
  }
  throw new Error(`Cannot start a private Docker Engine:\n${await lastWords(options)}`);

  /** The engine, and those that follow it on its data. */
  function keepEngine(first: Engine, again: () => Promise<Engine | "ended" | "locked">, release: () => Promise<void>): PrivateDocker {
    let engine = first;
    const stop = async (): Promise<void> => {
      await engine.stop();
      await release();
    };
    const restart = async (): Promise<void> => {
      await engine.stop();
      // The last process of the old namespace may hold the data a moment longer.
      const next = await until("the data of the last Docker Engine to be free", 30_000, async () => {
        const started = await again();
        return started === "locked" ? undefined : started;
      });
      if (next === "ended") throw new Error(`Cannot start the Docker Engine again:\n${await lastWords(options)}`);
      engine = next;
    };
    return { dockerHost: first.dockerHost, engineId: first.engineId, stop, restart };
  }
}

async function lastWords({ runDir, network }: EngineOptions): Promise<string> {
  const log = await readFile(join(runDir, `${kindOf(network)}d.log`), "utf8").catch(() => "");
  return log.split("\n").slice(-20).join("\n");
}

/** As a run should find it: without what an earlier one left. */
async function startFresh(options: EngineOptions, programs: Programs, root: string): Promise<Engine | "ended" | "locked"> {
  let engine = await startEngine(options, programs, root);
  if (engine === "ended") {
    // A killed machine can leave a data root that no engine reads; what it held can be made again.
    await rm(join(root, "data"), { recursive: true, force: true });
    engine = await startEngine(options, programs, root);
  }
  if (engine !== "ended" && engine !== "locked") await removeLeftovers(connectDocker(engine.dockerHost));
  return engine;
}

// A killed run may have left containers and networks in the data root: they are nobody's bots any more.
async function removeLeftovers(docker: ReturnType<typeof connectDocker>): Promise<void> {
  const containers = await docker.listContainers({ all: true });
  await Promise.all(containers.map((c) => docker.getContainer(c.Id).remove({ force: true, v: true })));
  await docker.pruneNetworks();
}
