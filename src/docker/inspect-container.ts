import type { ContainerInspectInfo } from "dockerode";
import { EngineRefusedError } from "../core/errors.ts";
import type { DockerClient } from "./client.ts";

/** What an id or a name stands for; `undefined`: nothing. */
export async function inspectContainer(client: DockerClient, nameOrId: string): Promise<ContainerInspectInfo | undefined> {
  try {
    const request = { what: `inspect container "${nameOrId}"`, method: "GET", path: `/containers/${nameOrId}/json` } as const;
    return await client.call<ContainerInspectInfo>(request);
  } catch (error) {
    if (error instanceof EngineRefusedError && error.status === 404) return undefined;
    throw error;
  }
}
