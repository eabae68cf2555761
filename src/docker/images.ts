import type { Clock, MonoMs } from "../core/clock.ts";
import { EngineRefusedError, ImageUnavailableError } from "../core/errors.ts";
import type { DockerClient } from "./client.ts";
import { readJsonLines } from "./json-lines.ts";

/** A pull without any progress for so long is given up, in ms. Source: docker.md, Images. */
const STALL_MS = 120_000;
/** How registries and the Engine word "no such image" and "not for you" once the status line has gone out as 200. */
const PERMANENT =
  /manifest unknown|manifest for .* not found|no matching manifest|access denied|access to the resource is denied|repository does not exist|name unknown|unauthorized|status:? (?:code:? )?40[134]\b|invalid reference/i;

type Progress = { readonly error?: string; readonly errorDetail?: { readonly code?: number; readonly message?: string } };

export class Images {
  readonly #client: DockerClient;
  readonly #clock: Clock;
  readonly #underWay = new Map<string, Promise<void>>();

  constructor(client: DockerClient, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  /** Pulls the image if the Engine has none. Callers share one pull; who gives up leaves it to the others, and it ends
   *  by itself or with the client. @throws {ImageUnavailableError} or the signal's reason. */
  async ensure(image: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    let shared = this.#underWay.get(image);
    if (shared === undefined) {
      shared = this.#provide(image).finally(() => this.#underWay.delete(image));
      shared.catch(() => {}); // all callers may have left by then
      this.#underWay.set(image, shared);
    }
    const { promise: left, reject } = Promise.withResolvers<never>();
    const leave = () => reject(signal.reason as Error);
    signal.addEventListener("abort", leave, { once: true });
    try {
      await Promise.race([shared, left]);
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  async #provide(image: string): Promise<void> {
    if (await this.#has(image)) return;
    await this.#pull(image);
    // A stream that ends early looks like one that is done: only the image itself is proof.
    if (!(await this.#has(image))) throw new ImageUnavailableError(`Cannot pull "${image}": the pull broke off`, false);
  }

  async #has(image: string): Promise<boolean> {
    try {
      await this.#client.call({ what: `look at the image "${image}"`, method: "GET", path: `/images/${encodePath(image)}/json` });
      return true;
    } catch (error) {
      // 400 is a name that makes no sense: the pull will say so in terms of the image.
      if (error instanceof EngineRefusedError && (error.status === 404 || error.status === 400)) return false;
      throw error;
    }
  }

  async #pull(image: string): Promise<void> {
    const over = new AbortController();
    let lastBeat = this.#clock.mono();
    const read = this.#client.stream(
      { what: `pull "${image}"`, method: "POST", path: "/images/create", query: pullQuery(image), signal: over.signal },
      async (body) => {
        for await (const { value } of readJsonLines(body)) {
          lastBeat = this.#clock.mono();
          const { error, errorDetail } = value as Progress;
          if (error !== undefined || errorDetail !== undefined)
            throw unavailable(image, errorDetail?.message ?? error ?? "", errorDetail?.code);
        }
      },
    );
    try {
      await Promise.race([read, this.#watchdog(image, () => lastBeat, over.signal)]);
    } catch (error) {
      if (error instanceof EngineRefusedError)
        throw new ImageUnavailableError(error.message, isPermanent(error.message, error.status), { cause: error });
      throw error;
    } finally {
      over.abort();
      await read.catch(() => {});
    }
  }

  async #watchdog(image: string, lastBeat: () => MonoMs, signal: AbortSignal): Promise<never> {
    for (;;) {
      const leftMs = lastBeat() + STALL_MS - this.#clock.mono();
      if (leftMs <= 0) throw new ImageUnavailableError(`Cannot pull "${image}": no progress for ${STALL_MS / 1000} s`, false);
      await this.#clock.sleep(leftMs, signal);
    }
  }
}

/** Without a tag the Engine would pull every tag there is; a digest stands in the tag's place. */
function pullQuery(image: string): { fromImage: string; tag: string } {
  const [named = "", digest] = image.split("@");
  const colon = named.indexOf(":", named.lastIndexOf("/") + 1);
  const [name, tag] = colon < 0 ? [named, "latest"] : [named.slice(0, colon), named.slice(colon + 1)];
  return { fromImage: name, tag: digest ?? tag };
}

function unavailable(image: string, said: string, code: number | undefined): ImageUnavailableError {
  return new ImageUnavailableError(`Cannot pull "${image}": ${said}`, isPermanent(said, code));
}

/** Only a new document helps, not another try. A registry that limits its callers says "denied" as well. */
function isPermanent(said: string, code: number | undefined): boolean {
  if (code === 429 || /toomanyrequests|rate limit/i.test(said)) return false;
  return code === 400 || code === 401 || code === 403 || code === 404 || PERMANENT.test(said);
}

const encodePath = (image: string): string => image.split("/").map(encodeURIComponent).join("/");
