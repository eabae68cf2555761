import { type Check, fail, ok, type Said, warn } from "./finding.ts";
import type { EngineGround, EngineInfo, EngineProbe, FenceProbe } from "./ports.ts";

/** What no bot may reach, whatever else is denied: the clouds' credential addresses. Source: chart/files/fence.sh. */
const CREDENTIALS = "169.254.0.0/16";

type Surroundings = {
  /** Undefined: COORDINATION=single runs without one. */
  readonly fence: FenceProbe | undefined;
  readonly dockerHost: string;
  readonly httpPort: number;
};

export function engineChecks(engine: EngineProbe, { fence, dockerHost, httpPort }: Surroundings): Check[] {
  const mend =
    fence === undefined
      ? `start the Docker Engine at ${dockerHost}, or correct DOCKER_HOST and the right to its socket`
      : "behind a fence the Engine runs only while this worker renews: is its runtime up? See the check fence, and the log of the Engine's container";
  return [
    {
      name: "docker",
      mend,
      look: async () => {
        await engine.ping();
        const { version, apiVersion } = await engine.version();
        return ok(`version ${version}, API ${apiVersion}`);
      },
    },
    { name: "docker-storage", after: "docker", mend, look: async () => judgeStorage(await engine.info(), fence !== undefined) },
    {
      name: "docker-cgroup",
      after: "docker",
      mend,
      look: async () => judgeCgroup(await engine.info(), fence && { ground: fence.ground() }),
    },
    {
      name: "docker-addresses",
      mend: "look at the log of the Engine's container",
      look: async () => judgeAddresses(fence && { ground: fence.ground() }, httpPort),
    },
  ];
}

export function judgeStorage({ storageDriver, liveRestore }: EngineInfo, isFenced: boolean): Said {
  if (isFenced && liveRestore)
    return warn(
      `storage driver ${storageDriver}; live-restore is on, so bots go on without their Engine`,
      "start dockerd with --live-restore=false",
    );
  if (storageDriver === "vfs")
    return warn(
      "storage driver vfs: each bot has a whole copy of its image on the disk",
      "put /var/lib/docker on a volume that overlay2 can use: not on another overlay",
    );
  return ok(`storage driver ${storageDriver}`);
}

type Behind = { readonly ground: EngineGround | undefined } | undefined;

export function judgeCgroup({ cgroupDriver, cgroupVersion, missingLimits }: EngineInfo, behind: Behind): Said {
  const engine = `cgroup v${cgroupVersion}, driver ${cgroupDriver}`;
  if (cgroupDriver === "none")
    return fail(`${engine}: no limit of any bot holds`, "run dockerd as root, or give a rootless one systemd and delegation");
  if (missingLimits.length > 0)
    return fail(
      `${engine}: the Engine cannot hold bots to their limits of ${missingLimits.join(", ")}`,
      "turn these cgroup controllers on in the node's kernel, and hand them down to the Engine's cgroup",
    );
  if (behind === undefined) return ok(`${engine}; bots lie where the Engine puts them`);
  const { ground } = behind;
  if (ground === undefined)
    return warn(`${engine}; the fence does not say where bots lie`, "start the Engine, with the fence.sh of this version");
  if ("parent" in ground.cgroup) return ok(`${engine}; bots lie below ${ground.cgroup.parent}, within the Engine's own container`);
  return warn(
    `${engine}; bots lie where the Engine puts them, maybe outside the pod's limits: ${ground.cgroup.why}`,
    "give the Engine's container a writable /sys/fs/cgroup (privileged does), or size nodes for the bots' own limits",
  );
}

export function judgeAddresses(behind: Behind, httpPort: number): Said {
  if (behind === undefined)
    return warn(
      `nothing keeps bots from ${CREDENTIALS}, where clouds hand out the machine's credentials`,
      "on a cloud's machine drop it in DOCKER-USER, or run the Engine behind the fence",
    );
  const { ground } = behind;
  if (ground === undefined)
    return warn("the fence does not say what bots may not reach", "start the Engine, with the fence.sh of this version");
  const { denied, ports } = ground;
  if (!denied.includes(CREDENTIALS)) return fail(`bots may reach ${CREDENTIALS}`, "use the fence.sh of this version");
  if (httpPort !== 0 && !ports.includes(httpPort))
    return warn(
      `bots may reach ${denied.length === 0 ? "everything" : `all but ${denied.join(", ")}`}, and port ${httpPort} of this worker too`,
      `add ${httpPort} to BOT_DENY_PORTS of the fence`,
    );
  return ok(`bots cannot reach ${[...denied, ...ports.map((port) => `port ${port} of this worker`)].join(", ")}`);
}
