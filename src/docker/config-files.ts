import { createHash, randomUUID } from "node:crypto";
import { chmod, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { BotId, SpecHash } from "../core/ids.ts";

/** The files behind /etc/bot/config.json. The daemon must see them under the same path. */
export class ConfigFiles {
  readonly #directory: string;

  constructor(stateDir: string) {
    this.#directory = join(resolve(stateDir), "configs");
  }

  /** Writes the file whole or not at all, and says where. Readable for every user, because the image chooses the
   *  bot's; the directory around it keeps other users of this machine out. */
  async write(bot: BotId, spec: SpecHash, json: string): Promise<string> {
    const path = this.#path(bot, spec);
    const fresh = `${path}.${randomUUID()}.new`;
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    try {
      await writeFile(fresh, json, { flag: "wx" });
      await chmod(fresh, 0o444); // not by writeFile's mode, from which the umask takes
      await rename(fresh, path);
    } catch (error) {
      await rm(fresh, { force: true });
      throw error;
    }
    return path;
  }

  async remove(bot: BotId, spec: SpecHash): Promise<void> {
    await rm(this.#path(bot, spec), { force: true });
  }

  #path(bot: BotId, spec: SpecHash): string {
    return join(this.#directory, `${createHash("sha256").update(`${bot}\0${spec}`).digest("hex")}.json`);
  }
}
