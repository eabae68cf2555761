import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SessionId } from "../core/ids.ts";
import { readIfThere } from "./kept-line.ts";

type Held = { readonly sid: SessionId; readonly inc: number };

/** Which session the holder of the state directory's lock has. Read under the lock it tells whose process is no more:
 *  only one process ever gets a (sid, inc), and the one that wrote it here held the lock that is ours now. */
export class LastSession {
  readonly #path: string;
  /** What the holder before us had, if it is known. */
  readonly held: Held | undefined;

  private constructor(path: string, held: Held | undefined) {
    this.#path = path;
    this.held = held;
  }

  /** To be called while the lock is held. */
  static async open(stateDir: string): Promise<LastSession> {
    const path = join(stateDir, "session");
    const text = await readIfThere(path);
    const [, inc, sid] = /^(\d+) (\S+)\n$/.exec(text) ?? [];
    return new LastSession(path, inc === undefined || sid === undefined ? undefined : { sid: sid as SessionId, inc: Number(inc) });
  }

  /** To be called once the session is ours and not before: another process may still win it. */
  async keep({ sid, inc }: Held): Promise<void> {
    await writeFile(`${this.#path}.new`, `${inc} ${sid}\n`);
    await rename(`${this.#path}.new`, this.#path);
  }
}
