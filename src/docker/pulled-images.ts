import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { PulledImage } from "../core/garbage.ts";

/** The images that this runtime pulled, in the order of the pulls: `STATE_DIR/pulled-images`, a line each. Everything else at the
 *  Engine is somebody else's. A lost file costs disk space, never an image. */
export class PulledImages {
  readonly #path: string;
  #known: Promise<PulledImage[]> | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(stateDir: string) {
    this.#path = join(stateDir, "pulled-images");
  }

  async all(): Promise<readonly PulledImage[]> {
    this.#known ??= read(this.#path);
    try {
      return await this.#known;
    } catch (error) {
      this.#known = undefined;
      throw error;
    }
  }

  add(pulled: PulledImage): Promise<void> {
    return this.#change((known) => [...known.filter((one) => !same(one, pulled)), pulled]);
  }

  remove(pulled: PulledImage): Promise<void> {
    return this.#change((known) => known.filter((one) => !same(one, pulled)));
  }

  /** One change at a time, each written whole or not at all; memory holds it even when the disk does not. */
  #change(act: (known: readonly PulledImage[]) => PulledImage[]): Promise<void> {
    const write = async (): Promise<void> => {
      const next = act(await this.all());
      this.#known = Promise.resolve(next);
      await mkdir(dirname(this.#path), { recursive: true });
      await writeFile(`${this.#path}.new`, next.map(({ image, id }) => `${image} ${id}\n`).join(""), { mode: 0o600, flush: true });
      await rename(`${this.#path}.new`, this.#path);
    };
    this.#writing = this.#writing.then(write, write);
    return this.#writing;
  }
}

async function read(path: string): Promise<PulledImage[]> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  return [...text.matchAll(/^(\S+) (\S+)$/gm)].map(([, image = "", id = ""]) => ({ image, id }));
}

const same = (a: PulledImage, b: PulledImage): boolean => a.image === b.image && a.id === b.id;
