import type { Clock, MonoMs } from "../core/clock.ts";
import { EngineRefusedError } from "../core/errors.ts";
import { keyOfImage, planGarbage, type PulledImage } from "../core/garbage.ts";
import { canonicalImage } from "../core/pulls.ts";
import type { DockerClient } from "./client.ts";
import type { EngineBus } from "./engine-events.ts";
import { imagePath, lookAtImage } from "./look-at-image.ts";
import type { PulledImages } from "./pulled-images.ts";

type Options = {
  readonly client: DockerClient;
  readonly clock: Clock;
  readonly pulled: PulledImages;
  readonly bus: EngineBus;
  /** Whether a start or a pull is under way: then nothing is removed. */
  readonly isBusy: () => boolean;
};

/** Removes the images that we pulled and nobody needs any more.
 *
 *  INVARIANT: an image that a start was told is there stays for a grace. `touch` begins its grace anew, and `settled` waits for a
 *  removal that had begun; each removal looks at both in one step with its own beginning. */
export class ImageGarbage {
  readonly #o: Options;
  #idleSince = new Map<string, MonoMs>();
  #removal: Promise<void> = Promise.resolve();
  #round: Promise<void> | undefined;

  constructor(options: Options) {
    this.#o = options;
  }

  /** Somebody is about to use what this name stands for. */
  touch(image: string): void {
    for (const key of this.#idleSince.keys()) if (key.startsWith(`${image} `)) this.#idleSince.set(key, this.#o.clock.mono());
  }

  /** Resolves when no removal is under way. */
  settled(): Promise<void> {
    return this.#removal;
  }

  /** One round; a second caller shares it. @throws {EngineUnreachableError} */
  collect(wanted: ReadonlySet<string>): Promise<void> {
    this.#round ??= this.#collect(wanted).finally(() => (this.#round = undefined));
    return this.#round;
  }

  async #collect(wanted: ReadonlySet<string>): Promise<void> {
    const { client, clock, pulled, isBusy } = this.#o;
    const known = await pulled.all();
    const { idleSince, due } = planGarbage(known, wanted, this.#idleSince, clock.mono());
    this.#idleSince = new Map(idleSince);
    if (due.length === 0 || isBusy()) return;
    const used = await usedImages(client);
    for (const image of due) {
      const since = this.#idleSince.get(keyOfImage(image));
      if (used.has(image.id)) this.#startAgain(image);
      else if (isBusy()) return;
      else if (since === idleSince.get(keyOfImage(image))) {
        const removal = this.#remove(image, wanted);
        this.#removal = removal.catch(() => {});
        await removal;
      }
    }
  }

  #startAgain(image: PulledImage): void {
    this.#idleSince.set(keyOfImage(image), this.#o.clock.mono());
  }

  async #remove(pulled: PulledImage, wanted: ReadonlySet<string>): Promise<void> {
    const { client, bus, pulled: record } = this.#o;
    const { image, id } = pulled;
    try {
      const found = await lookAtImage(client, id);
      // Under another of its names, such as its digest, somebody may want it all the same.
      const names = new Set([...wanted].map(canonicalImage));
      if ([...(found?.tags ?? []), ...(found?.digests ?? [])].some((name) => names.has(canonicalImage(name))))
        return this.#startAgain(pulled);
      const target = (await lookAtImage(client, image))?.id === id ? image : id;
      // Gone by itself, or our name moved on and somebody gave it one of their own: not ours any more.
      const isOurs = found !== undefined && (target === image || found.tags.length === 0);
      if (isOurs) {
        // Without force: what a container uses, stopped ones too, the Engine refuses to remove.
        await client.call({ what: `remove the image "${image}"`, method: "DELETE", path: imagePath(target), limitMs: 30_000 });
        bus.emit("image:removed", pulled);
      }
      this.#idleSince.delete(keyOfImage(pulled));
      await record.remove(pulled).catch((error: unknown) => bus.emit("image:unrecorded", { image, error }));
    } catch (error) {
      if (!(error instanceof EngineRefusedError)) throw error;
      this.#startAgain(pulled); // a 404 is one that somebody else removed: the next look finds it gone
      bus.emit("image:kept", { ...pulled, error });
    }
  }
}

/** Ids of the images of all containers, strangers' and stopped ones too. */
async function usedImages(client: DockerClient): Promise<Set<string>> {
  const rows = await client.call<{ ImageID: string }[]>({
    what: "list containers",
    method: "GET",
    path: "/containers/json",
    query: { all: 1 },
    limitMs: 30_000,
  });
  return new Set(rows.map(({ ImageID }) => ImageID));
}
