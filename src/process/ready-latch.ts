import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Once set it stays. In a pod it is a file in the pod's memory, so that a container that restarts is ready at once: an
 *  unready pod is the first that a scale-down takes, whatever it runs. */
export class ReadyLatch {
  readonly #path: string | undefined;
  #isSet: boolean;

  /** @param dir lives as long as what shall stay ready; absent: this process */
  constructor(dir: string | undefined) {
    this.#path = dir === undefined ? undefined : join(dir, "ready");
    this.#isSet = this.#path !== undefined && existsSync(this.#path);
  }

  get isSet(): boolean {
    return this.#isSet;
  }

  set(): void {
    if (this.#isSet) return;
    this.#isSet = true;
    if (this.#path !== undefined) writeFileSync(this.#path, "");
  }
}
