import { ensureBaseImage } from "./base-image.ts";
import type { Place } from "./cache.ts";
import { startPrivateDocker } from "./private-docker.ts";

export interface ImageBuilder {
  readonly dockerHost: string;
  readonly stop: () => Promise<void>;
}

/** An engine whose build steps reach the package registries, with the base image in it. The tests' own private engine
 *  reaches nothing, so beside it a second one is started; an engine of the user's is taken as it is. */
export async function openImageBuilder(place: Place, env: NodeJS.ProcessEnv): Promise<ImageBuilder> {
  const users = env["DOCKER_IS_PRIVATE"] === "true" ? undefined : env["DOCKER_HOST"] || undefined;
  const engine =
    users === undefined ? await startPrivateDocker({ ...place, network: "host" }) : { dockerHost: users, stop: async () => undefined };
  try {
    await ensureBaseImage(engine.dockerHost, place);
  } catch (error) {
    await engine.stop();
    throw error;
  }
  return { dockerHost: engine.dockerHost, stop: engine.stop };
}
