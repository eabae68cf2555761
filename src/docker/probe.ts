import type { Clock } from "../core/clock.ts";
import type { EngineInfo, EngineProbe } from "../doctor/ports.ts";
import { DockerClient } from "./client.ts";

/** As much of `/info` as is judged. Old Engines leave out what they do not know. */
type Info = {
  readonly Driver: string;
  readonly CgroupDriver?: string;
  readonly CgroupVersion?: string;
  readonly LiveRestoreEnabled?: boolean;
  readonly MemoryLimit?: boolean;
  readonly PidsLimit?: boolean;
  readonly CpuCfsQuota?: boolean;
};

/** The Docker Engine as `runtime doctor` looks at it. @throws {ConfigurationError} when `dockerHost` cannot be read */
export function openEngineProbe(dockerHost: string, clock: Clock): EngineProbe & { close(): void } {
  const client = new DockerClient(dockerHost, clock);
  let info: Promise<Info> | undefined;
  return {
    ping: () => client.ping(),
    async version() {
      const [{ Version }, apiVersion] = await Promise.all([client.version(), client.apiVersion()]);
      return { version: Version, apiVersion };
    },
    async info() {
      info ??= client.call<Info>({ what: "ask how the Docker Engine works", method: "GET", path: "/info" });
      return readInfo(await info);
    },
    close: () => client.close(),
  };
}

function readInfo(info: Info): EngineInfo {
  const limits = { memory: info.MemoryLimit, pids: info.PidsLimit, cpu: info.CpuCfsQuota };
  return {
    storageDriver: info.Driver,
    cgroupDriver: info.CgroupDriver ?? "cgroupfs",
    cgroupVersion: info.CgroupVersion ?? "1",
    liveRestore: info.LiveRestoreEnabled ?? false,
    missingLimits: Object.entries(limits).flatMap(([name, has]) => (has === false ? [name] : [])),
  };
}
