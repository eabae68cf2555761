import type { Place } from "./cache.ts";
import { fetchPackageFile } from "./debian.ts";
import { connectDocker } from "./find-docker.ts";
import type { RegistryOrder } from "./registry-server.ts";
import { startRegistry, type TestRegistry } from "./test-registry.ts";

/** Images of this or an earlier run's registry: the engine's images outlive a run. */
const PULLED = /^127\.0\.0\.1:\d+\/chaos\//;

/** What a limited caller is told to wait: above a first pause of the runtime's own, and short beside a run. */
const RETRY_AFTER_SECONDS = 8;

/** The registry inside the chaos's engine: it lives in the engine's network, so it moves when the engine is another. */
export class ChaosRegistry {
  readonly #place: Place;
  #registry: TestRegistry | undefined;

  constructor(place: Place) {
    this.#place = place;
  }

  /** Starts it beside this engine; one that was there before comes back under its name. */
  async start(dockerHost: string): Promise<void> {
    const busybox = await fetchPackageFile(this.#place, "busybox-static", "bin/busybox");
    const port = Number(this.#registry?.host.split(":")[1] ?? 0);
    await this.stop();
    this.#registry = await startRegistry(dockerHost, { port, busybox });
    await this.order({ mode: "serve" });
  }

  async stop(): Promise<void> {
    await this.#registry?.[Symbol.asyncDispose]();
  }

  /** An image that it has; each tag is another image. */
  imageOf(tag: number): string {
    return `${this.#registry?.host ?? ""}/chaos/bot:${tag}`;
  }

  /** How it answers from now on. */
  async order(order: Pick<RegistryOrder, "mode" | "basic">): Promise<void> {
    await this.#registry?.obey({ generation: "by-tag", retryAfterSeconds: RETRY_AFTER_SECONDS, ...order });
  }

  /** How often it was asked since its last order. */
  async requests(): Promise<number> {
    return (await this.#registry?.requests()) ?? 0;
  }
}

/** Has the engine forget what was pulled from such a registry. */
export async function removePulled(dockerHost: string): Promise<void> {
  const docker = connectDocker(dockerHost);
  const names = (await docker.listImages()).flatMap(({ RepoTags }) => RepoTags ?? []).filter((name) => PULLED.test(name));
  for (const name of names) await docker.getImage(name).remove({ force: true });
}
