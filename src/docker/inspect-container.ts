import type { ContainerInspectInfo } from "dockerode";
import { EngineRefusedError } from "../core/errors.ts";
import type { DockerClient } from "./client.ts";

/** What an id or a name stands for; `undefined`: nothing. `whose` is for the error. */
export async function inspectContainer(client: DockerClient, nameOrId: string, whose: string): Promise<ContainerInspectInfo | undefined> {
  try {
    return await client.call<ContainerInspectInfo>({
      what: `inspect the container of "${whose}"`,
      method: "GET",
      path: `/containers/${nameOrId}/json`,
    });
  } catch (error) {
    if (error instanceof EngineRefusedError && error.status === 404) return undefined;
    throw error;
  }
}
