import { createHash } from "node:crypto";
import type { ContainerCreateOptions } from "dockerode";
import type { BotId } from "../core/ids.ts";
import type { StartOrder } from "../worker/ports.ts";
import { writeLabels } from "./labels.ts";

/** Where a bot finds its config. */
const CONFIG_TARGET = "/etc/bot/config.json";
/** Largest config, as JSON in bytes, that is also handed over as BOT_CONFIG. */
const MAX_CONFIG_ENV_BYTES = 16 * 1024;
/** The Engine takes no smaller memory limit. */
const LEAST_MEMORY_BYTES = 6 * 1024 * 1024;
const SHM_BYTES = 16 * 1024 * 1024;

export type Surroundings = {
  readonly network: string;
  /** The config as JSON and the file that holds it, where the bot has one. */
  readonly config?: { readonly json: string; readonly path: string };
};

/** What the Engine is asked to make: the bot's own wishes inside our limits. The image's user and a writable root are
 *  the bot's choice, so that images run as they were made; all else is as tight as a plain program bears.
 *  Source: docker.md section 4. */
export function createBody(order: StartOrder, { network, config }: Surroundings): ContainerCreateOptions {
  const { bot, spec } = order;
  const { memoryBytes, nanoCpus, pids } = spec.resources;
  const { capabilities, readOnlyRootFilesystem, user } = spec.security;
  return {
    Image: spec.image,
    Hostname: hostname(bot),
    ...(spec.command && { Entrypoint: [...spec.command] }),
    ...(spec.args && { Cmd: [...spec.args] }),
    ...(user !== undefined && { User: user }),
    Env: environment(order, config?.json),
    Labels: { ...spec.labels, ...writeLabels(order) },
    Tty: false,
    OpenStdin: false,
    StopSignal: "SIGTERM",
    StopTimeout: spec.stopGraceSeconds,
    HostConfig: {
      // Only the owner of the bot's segment may start it: neither the daemon nor a reboot of the machine.
      RestartPolicy: { Name: "no" },
      AutoRemove: false, // the exit code and the last lines must outlive the run
      Init: true,
      NetworkMode: network,
      ReadonlyRootfs: readOnlyRootFilesystem,
      Privileged: false,
      CapDrop: ["ALL"],
      CapAdd: [...capabilities],
      SecurityOpt: ["no-new-privileges"],
      PidsLimit: pids,
      Memory: memoryBytes,
      MemorySwap: memoryBytes, // memory and swap together: no swap
      MemoryReservation: Math.max(Math.floor(memoryBytes / 2), LEAST_MEMORY_BYTES),
      ...(nanoCpus !== undefined && { NanoCpus: nanoCpus }),
      OomScoreAdj: 500, // a machine without memory loses bots before it loses the daemon
      Ulimits: [
        { Name: "nofile", Soft: 4096, Hard: 4096 },
        { Name: "core", Soft: 0, Hard: 0 },
      ],
      Tmpfs: { "/tmp": "rw,noexec,nosuid,nodev,size=64m" },
      ShmSize: SHM_BYTES,
      IpcMode: "private",
      CgroupnsMode: "private",
      LogConfig: { Type: "local", Config: { "max-size": "5m", "max-file": "2", mode: "non-blocking", "max-buffer-size": "1m" } },
      // A bind mount asked for this way must exist; the short form would make a directory of a wrong path.
      ...(config && { Mounts: [{ Type: "bind", Source: config.path, Target: CONFIG_TARGET, ReadOnly: true }] }),
    } as ContainerCreateOptions["HostConfig"] & { CgroupnsMode: string },
  };
}

function environment({ bot, spec, segment, epoch }: StartOrder, json: string | undefined): string[] {
  const small = json !== undefined && Buffer.byteLength(json) <= MAX_CONFIG_ENV_BYTES;
  const all = { ...spec.env, BOT_ID: bot, BOT_SEGMENT: String(segment), BOT_EPOCH: String(epoch), ...(small && { BOT_CONFIG: json }) };
  return Object.entries(all).map(([name, value]) => `${name}=${value}`);
}

/** The id itself where it is a short host name already; else what is left of it, told apart by a hash. */
function hostname(bot: BotId): string {
  if (/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(bot)) return bot;
  const slug = bot
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .slice(0, 40)
    .replaceAll(/^-+|-+$/g, "");
  return `${slug || "bot"}-${createHash("sha256").update(bot).digest("hex").slice(0, 8)}`;
}
