import type { ContainerCreateOptions, ContainerInfo } from "dockerode";
import type { Clock } from "../core/clock.ts";
import { EngineRefusedError, NameHeldError } from "../core/errors.ts";
import { type BotId, type ContainerId, containerName } from "../core/ids.ts";
import { BUSY_LIMIT_MS, type DockerClient } from "./client.ts";
import { inspectContainer } from "./inspect-container.ts";

/** Tries in all, 100 ms apart, while the name is refused and nothing has it: the Engine lets go of a name a moment after
 *  it has let go of the container. Source: docker.md rule 6. */
const TRIES = 5;
const POLL_MS = 100;
const NEVER = new AbortController().signal;

/** Makes the container of a bot.
 *  @throws {EngineRefusedError} with status 409 when something that an inspect shows has the name
 *  @throws {NameHeldError} when nothing has it and it is refused all the same */
export async function createContainer(client: DockerClient, clock: Clock, bot: BotId, body: ContainerCreateOptions): Promise<ContainerId> {
  const name = containerName(bot);
  const what = `create the container of bot "${bot}"`;
  for (let left = TRIES - 1; ; left--) {
    try {
      const request = { what, method: "POST", path: "/containers/create", query: { name }, body, limitMs: BUSY_LIMIT_MS } as const;
      return (await client.call<{ Id: string }>(request)).Id as ContainerId;
    } catch (error) {
      if (!(error instanceof EngineRefusedError && error.status === 409)) throw error;
      if ((await inspectContainer(client, name)) !== undefined) throw error;
      if (left === 0) throw await heldName(client, name, what, error);
    }
    await clock.sleep(POLL_MS, NEVER);
  }
}

async function heldName(client: DockerClient, name: string, what: string, cause: EngineRefusedError): Promise<NameHeldError> {
  const query = { all: 1, filters: { name: [name] } };
  const rows = await client.call<ContainerInfo[]>({
    what: `look who has the name "${name}"`,
    method: "GET",
    path: "/containers/json",
    query,
  });
  const holder = rows.find(({ Names }) => Names.includes(`/${name}`)); // the filter matches parts of names
  const who = holder === undefined ? "no container has it" : `container "${holder.Id}", which it lists, cannot be found`;
  return new NameHeldError(`Cannot ${what}: the Docker Engine holds the name "${name}", and ${who}`, { cause });
}
