import type { ImagePullPolicy } from "../core/bot.ts";
import type { Clock } from "../core/clock.ts";
import { ImageUnavailableError } from "../core/errors.ts";
import { judgePull, type Pause, pauseAfter, pausedUntil, type PullRefusal, registryOf } from "../core/pulls.ts";
import type { DockerClient } from "./client.ts";
import type { ImageGarbage } from "./image-garbage.ts";
import type { EngineBus } from "./engine-events.ts";
import { lookAtImage } from "./look-at-image.ts";
import { pullImage } from "./pull-image.ts";
import type { PulledImages } from "./pulled-images.ts";
import type { RegistryAuth } from "./registry-auth.ts";

/** Pulls at a time. Source: docker.md, Images. */
const MAX_PULLS = 2;

type Options = {
  readonly client: DockerClient;
  readonly clock: Clock;
  readonly random: () => number;
  readonly auth: RegistryAuth | undefined;
  readonly pulled: PulledImages;
  readonly garbage: ImageGarbage;
  readonly bus: EngineBus;
};
/** A pause and whose words began it. */
type Told = { readonly pause: Pause; readonly said: string };

/** Sees to it that images are here. One pull an image at a time, however many bots wait for it.
 *
 *  A registry that failed is on probation: once its pause is over one pull may try, and the others wait for how it ends. So a
 *  hundred bots on a registry that is away cost it one question a pause. */
export class Images {
  readonly #o: Options;
  readonly #underWay = new Map<string, Promise<void>>();
  readonly #pulls = new Map<string, Promise<void>>();
  /** What failed last, by name. */
  readonly #images = new Map<string, Told>();
  readonly #registries = new Map<string, Told>();
  readonly #probes = new Map<string, Promise<void>>();
  #pulling = 0;
  #freed = Promise.withResolvers<void>();

  constructor(options: Options) {
    this.#o = options;
  }

  get isPulling(): boolean {
    return this.#pulling > 0;
  }

  /** Has the image here as the policy says. Callers share the work; who gives up leaves it to the others, and it ends by itself
   *  or with the client. @throws {ImageUnavailableError} or the signal's reason. */
  async ensure(image: string, policy: ImagePullPolicy, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { garbage } = this.#o;
    garbage.touch(image);
    const { promise: left, reject } = Promise.withResolvers<never>();
    const leave = () => reject(signal.reason as Error);
    signal.addEventListener("abort", leave, { once: true });
    try {
      await Promise.race([shared(this.#underWay, `${policy} ${image}`, () => this.#provide(image, policy)), left]);
    } finally {
      signal.removeEventListener("abort", leave);
      garbage.touch(image); // a pull may take longer than a grace
    }
  }

  async #provide(image: string, policy: ImagePullPolicy): Promise<void> {
    const { client, garbage, bus } = this.#o;
    await garbage.settled();
    const found = await lookAtImage(client, image);
    // What a digest names cannot become something else.
    if (found !== undefined && (policy !== "always" || image.includes("@"))) return;
    if (policy === "never")
      throw new ImageUnavailableError(
        `Cannot use "${image}": not present and imagePullPolicy is never: load it into the Docker Engine, or change imagePullPolicy`,
        true,
      );
    try {
      await shared(this.#pulls, image, () => this.#pull(image, found?.id));
    } catch (error) {
      if (found === undefined || !(error instanceof ImageUnavailableError)) throw error;
      bus.emit("image:stale", { image, error });
    }
  }

  async #pull(image: string, had: string | undefined): Promise<void> {
    const { client, clock, auth, pulled, bus } = this.#o;
    const registry = registryOf(image);
    const giveBack = await this.#turn(image, registry);
    try {
      const began = clock.mono();
      const refused = await pullImage(image, { client, clock, credentials: auth?.of(registry) });
      if (refused !== undefined) throw this.#fault(image, registry, refused);
      const got = await lookAtImage(client, image);
      if (got === undefined) throw this.#fault(image, registry, { said: "the pull broke off" });
      this.#images.delete(image);
      this.#registries.delete(registry);
      if (got.id === had) return;
      bus.emit("image:pulled", { image, id: got.id, tookMs: clock.mono() - began });
      await pulled.add({ image, id: got.id }).catch((error: unknown) => bus.emit("image:unrecorded", { image, error }));
    } finally {
      giveBack();
    }
  }

  /** Takes the right to pull as soon as image and registry are not paused, nobody tries a doubtful registry, and there is a slot;
   *  gives the way to return it. INVARIANT: nothing is awaited between looking and taking.
   *  @throws {ImageUnavailableError} during a pause. */
  async #turn(image: string, registry: string): Promise<() => void> {
    for (;;) {
      this.#refuseIfPaused(image, registry);
      const probe = this.#probes.get(registry);
      if (probe !== undefined) await probe;
      else if (this.#pulling >= MAX_PULLS) await this.#freed.promise;
      else return this.#take(registry);
    }
  }

  #take(registry: string): () => void {
    const probe = this.#registries.has(registry) ? Promise.withResolvers<void>() : undefined;
    if (probe !== undefined) this.#probes.set(registry, probe.promise);
    this.#pulling += 1;
    return () => {
      this.#pulling -= 1;
      if (probe !== undefined) this.#probes.delete(registry);
      probe?.resolve();
      this.#freed.resolve();
      this.#freed = Promise.withResolvers();
    };
  }

  #refuseIfPaused(image: string, registry: string): void {
    const [mine, whole] = [this.#images.get(image), this.#registries.get(registry)];
    const now = this.#o.clock.mono();
    const until = pausedUntil(mine?.pause, whole?.pause, now);
    if (until === undefined) return;
    const said = (whole !== undefined && whole.pause.until > now ? whole : mine)?.said ?? "";
    throw new ImageUnavailableError(`Cannot pull "${image}": ${said}`, false, { retryMs: until - now });
  }

  #fault(image: string, registry: string, refused: PullRefusal & { readonly cause?: Error }): ImageUnavailableError {
    const { clock, random } = this.#o;
    const { said, cause } = refused;
    const verdict = judgePull(refused);
    const message = `Cannot pull "${image}": ${said}`;
    const options = cause === undefined ? {} : { cause };
    if (verdict.kind === "denied" || verdict.kind === "wrong") {
      // It answered: whatever it was paused for is over.
      this.#registries.delete(registry);
      const fix =
        verdict.kind === "wrong" ? "correct the image" : `correct the image, or let REGISTRY_AUTH_FILE have credentials for ${registry}`;
      return new ImageUnavailableError(`${message}: ${fix}, then change or restart the bot`, true, options);
    }
    const retryAfterMs = verdict.kind === "registry" ? verdict.retryAfterMs : undefined;
    const pause = (map: Map<string, Told>, key: string) =>
      map.set(key, { pause: pauseAfter(map.get(key)?.pause, retryAfterMs, clock.mono(), random), said });
    pause(this.#images, image);
    if (verdict.kind === "registry") pause(this.#registries, registry);
    else this.#registries.delete(registry);
    const retryAt = pausedUntil(this.#images.get(image)?.pause, this.#registries.get(registry)?.pause, clock.mono());
    return new ImageUnavailableError(message, false, { ...options, retryMs: (retryAt ?? clock.mono()) - clock.mono() });
  }
}

/** Joins the work for this key that is under way, or begins it. */
function shared(map: Map<string, Promise<void>>, key: string, begin: () => Promise<void>): Promise<void> {
  let work = map.get(key);
  if (work === undefined) {
    work = begin().finally(() => map.delete(key));
    work.catch(() => {}); // all callers may have left by then
    map.set(key, work);
  }
  return work;
}
