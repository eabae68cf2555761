import { EventEmitter } from "node:events";
import type { ContainerInfo } from "dockerode";
import type { Clock } from "../core/clock.ts";
import { EngineRefusedError, EngineUnreachableError } from "../core/errors.ts";
import { type ContainerId, containerName } from "../core/ids.ts";
import type { Engine } from "../worker/ports.ts";
import { BUSY_LIMIT_MS, DockerClient } from "./client.ts";
import { ConfigFiles } from "./config-files.ts";
import { createBody } from "./create-body.ts";
import { createContainer } from "./create-container.ts";
import type { EngineBus } from "./engine-events.ts";
import { EventWatch } from "./event-watch.ts";
import { ImageGarbage } from "./image-garbage.ts";
import { Images } from "./images.ts";
import { inspectContainer } from "./inspect-container.ts";
import { KillEvidence } from "./kill-evidence.ts";
import { MANAGED_FILTER } from "./labels.ts";
import { readLogTail } from "./log-tail.ts";
import { BotNetwork } from "./network.ts";
import { PulledImages } from "./pulled-images.ts";
import { readInspected, readListed } from "./read-container.ts";
import { RegistryAuth } from "./registry-auth.ts";
import { stopContainer } from "./stop-container.ts";

/** How long a removal that somebody else began may take, in ms. */
const REMOVAL_LIMIT_MS = 10_000;
/** Time limit of reading a log, in ms: it holds at most 10 MB. */
const LOG_LIMIT_MS = 10_000;
const POLL_MS = 100;
const NEVER = new AbortController().signal;

export type EngineOptions = {
  /** `unix:///path` or `tcp://host:port`. @default unix:///var/run/docker.sock */
  readonly dockerHost: string | undefined;
  /** Where config files are kept; the daemon must see it under the same path. */
  readonly stateDir: string;
  readonly clock: Clock;
  /** Gives [0, 1). */
  readonly random: () => number;
  /** Name of our bridge. @default "botrunner" */
  readonly network?: string;
  /** A docker config.json with credentials of registries. */
  readonly registryAuthFile?: string | undefined;
  /** Hears of images and of the event stream. @default nobody does */
  readonly bus?: EngineBus;
};

/** The Docker Engine behind the port. `close` breaks off what is under way; nothing is asked before the first call.
 *  @throws {ConfigurationError} when `dockerHost` or `registryAuthFile` cannot be read; so does every method when the Engine is too old. */
export function createEngine({
  dockerHost,
  stateDir,
  clock,
  random,
  network = "botrunner",
  registryAuthFile,
  bus = new EventEmitter(),
}: EngineOptions): Engine & { close(): void } {
  const auth =
    registryAuthFile === undefined
      ? undefined
      : new RegistryAuth(registryAuthFile, (error) => void bus.emit("credentials:refused", { error }));
  const client = new DockerClient(dockerHost, clock);
  const pulled = new PulledImages(stateDir);
  let starts = 0;
  const garbage = new ImageGarbage({ client, clock, pulled, bus, isBusy: () => starts > 0 || images.isPulling });
  const images: Images = new Images({ client, clock, random, auth, pulled, garbage, bus });
  const starting = async <T>(act: () => Promise<T>): Promise<T> => {
    starts += 1;
    try {
      return await act();
    } finally {
      starts -= 1;
    }
  };
  const bridge = new BotNetwork(client, network);
  const configs = new ConfigFiles(stateDir);
  const watches = new Set<EventWatch>();
  const evidence = new KillEvidence();

  return {
    close: () => client.close(),

    async identify() {
      const [{ ID, ServerVersion }, apiVersion] = await Promise.all([
        client.call<{ ID: string; ServerVersion: string }>({ what: "ask who the Docker Engine is", method: "GET", path: "/info" }),
        client.apiVersion(),
      ]);
      return { id: ID, version: ServerVersion, apiVersion };
    },

    async ping() {
      await client.ping();
    },

    async list() {
      const query = { all: 1, filters: { label: MANAGED_FILTER } };
      const held = [...watches].map((watch) => watch.listing());
      const what = "list containers";
      const rows = await client
        .call<ContainerInfo[]>({ what, method: "GET", path: "/containers/json", query, limitMs: BUSY_LIMIT_MS })
        .catch((error: unknown) => {
          // Nobody can have asked wrongly: an Engine that cannot tell what it holds is as good as away, for the moment.
          if (error instanceof EngineRefusedError) throw new EngineUnreachableError(`Cannot ${what}`, { cause: error });
          throw error;
        });
      const containers = rows.flatMap((row) => readListed(row) ?? []);
      for (const against of held) against(containers);
      return containers;
    },

    async inspect(bot) {
      const found = await inspectContainer(client, containerName(bot));
      return found === undefined ? { kind: "none" } : readInspected(bot, found, evidence);
    },

    ensureImage: (image, policy, signal) => images.ensure(image, policy, signal),
    collectImages: (wanted) => garbage.collect(wanted),

    async create(order) {
      const { bot, hash, spec } = order;
      const json = spec.config === undefined ? undefined : JSON.stringify(spec.config);
      const config = json === undefined ? undefined : { json, path: await configs.write(bot, hash, json) };
      const body = createBody(order, { network: bridge.name, ...(config && { config }) });
      try {
        return await starting(() => bridge.use(() => createContainer(client, clock, bot, body)));
      } catch (error) {
        // Refused for a reason other than the name, nothing stands that could need the file; else it goes with what does.
        if (error instanceof EngineRefusedError && error.status !== 409) await configs.remove(bot, hash);
        throw error;
      }
    },

    async start(id) {
      evidence.starts(id);
      try {
        // The Engine looks for the network only now, so this may find that somebody removed it.
        await starting(() =>
          bridge.use(() =>
            client.call({ what: `start container "${id}"`, method: "POST", path: `/containers/${id}/start`, limitMs: BUSY_LIMIT_MS }),
          ),
        );
      } catch (error) {
        if (!isRefusal(error, 304)) throw error;
      }
    },

    stop(id, graceSeconds) {
      evidence.stops(id);
      return stopContainer(client, clock, id, graceSeconds);
    },

    async remove({ id, bot, spec }) {
      const what = `remove container "${id}"`;
      try {
        await client.call({ what, method: "DELETE", path: `/containers/${id}`, query: { force: 1, v: 1 }, limitMs: BUSY_LIMIT_MS });
      } catch (error) {
        if (isRefusal(error, 409)) await untilGone(client, clock, id);
        else if (!isRefusal(error, 404)) throw error;
      }
      await configs.remove(bot, spec);
    },

    async logTail(id, maxBytes) {
      // A line has at least one byte, so this many lines hold all that is asked for.
      const query = { stdout: 1, stderr: 1, tail: maxBytes };
      const what = `read the log of container "${id}"`;
      return client.stream({ what, method: "GET", path: `/containers/${id}/logs`, query, limitMs: LOG_LIMIT_MS }, (body) =>
        readLogTail(body, maxBytes),
      );
    },

    async watch(onHint, signal) {
      const watch = new EventWatch({ client, clock, random, bus, evidence });
      watches.add(watch);
      await watch.run(onHint, signal).finally(() => watches.delete(watch));
    },
  };
}

/** Somebody else is removing it already. */
async function untilGone(client: DockerClient, clock: Clock, id: ContainerId): Promise<void> {
  const began = clock.mono();
  while ((await inspectContainer(client, id)) !== undefined) {
    if (clock.mono() - began > REMOVAL_LIMIT_MS)
      throw new EngineUnreachableError(`Cannot remove container "${id}": a removal that began earlier does not end`);
    await clock.sleep(POLL_MS, NEVER);
  }
}

const isRefusal = (error: unknown, status: number): boolean => error instanceof EngineRefusedError && error.status === status;
