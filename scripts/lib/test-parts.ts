import { ensureBaseTarball } from "./base-image.ts";
import { ensureBotImage } from "./bot-image.ts";
import type { Place } from "./cache.ts";
import { findDocker } from "./find-docker.ts";
import { startPrivateDocker } from "./private-docker.ts";
import { pings, startPrivateMongo } from "./private-mongo.ts";

/** What the system tests need, once for all of them: DOCKER_HOST with the bot image, and MONGO_URI. */
export interface Parts {
  readonly env: {
    /** Undefined also where the user has named one that does not answer: then the tests skip what needs it. */
    readonly DOCKER_HOST: string | undefined;
    readonly MONGO_URI: string | undefined;
    /** "true" for an engine of ours, which reaches no network. */
    readonly DOCKER_IS_PRIVATE: string | undefined;
  };
  readonly faults: readonly Fault[];
  readonly stop: () => Promise<void>;
}
interface Fault {
  readonly what: "Docker" | "MongoDB";
  readonly why: string;
}

type Part = { readonly at: string; readonly stop?: () => Promise<void> };

/** Takes the engine and the MongoDB that the user has, else starts private ones. What cannot be had is in `faults`. */
export async function provideParts(place: Place, env: NodeJS.ProcessEnv): Promise<Parts> {
  const [docker, mongo] = await Promise.allSettled([provideDocker(place, env), provideMongo(place, env)]);
  const faults: Fault[] = [];
  if (docker.status === "rejected") faults.push({ what: "Docker", why: explain(docker.reason) });
  if (mongo.status === "rejected") faults.push({ what: "MongoDB", why: explain(mongo.reason) });
  // The image test's base is an installation, too: its minute is not the suite's. Where it fails, that test says why.
  const isPrivate = docker.status === "fulfilled" && docker.value.stop !== undefined;
  if (isPrivate) await ensureBaseTarball(place).catch((error: unknown) => place.say(explain(error)));
  const parts = [docker, mongo].flatMap((part) => (part.status === "fulfilled" ? [part.value] : []));
  return {
    env: {
      DOCKER_HOST: docker.status === "fulfilled" ? docker.value.at : undefined,
      MONGO_URI: mongo.status === "fulfilled" ? mongo.value.at : undefined,
      DOCKER_IS_PRIVATE: isPrivate ? "true" : undefined,
    },
    faults,
    stop: async () => {
      await Promise.all(parts.map(async (part) => part.stop?.()));
    },
  };
}

export async function provideDocker(place: Place, env: NodeJS.ProcessEnv): Promise<Part> {
  const found = await findDocker(env);
  if (found !== undefined) {
    await ensureBotImage(found, place.cacheDir, place.say);
    return { at: found };
  }
  const engine = await startPrivateDocker(place);
  try {
    await ensureBotImage(engine.dockerHost, place.cacheDir, place.say);
  } catch (error) {
    await engine.stop();
    throw error;
  }
  return { at: engine.dockerHost, stop: engine.stop };
}

export async function provideMongo(place: Place, env: NodeJS.ProcessEnv): Promise<Part> {
  const named = env["MONGO_URI"];
  if (!named) {
    const server = await startPrivateMongo(place);
    return { at: server.uri, stop: server.stop };
  }
  // The URI may hold a password, so it is not shown.
  if (!(await pings(named))) throw new Error("Cannot reach the MongoDB that MONGO_URI names");
  return { at: named };
}

function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${explain(error.cause)}`;
}
