import type { Exit } from "../core/bot.ts";
import type { ContainerId } from "../core/ids.ts";
import { RecentSet } from "./recent-set.ts";

/** Containers remembered of each kind. An end is looked at within seconds, so far fewer are needed. */
const REMEMBERED = 1_024;
/** What the Engine says of a container that it finds dead when it comes up. */
const FOUND_DEAD = 255;
/** 128 and SIGKILL. */
const KILLED = 137;

/** What was seen of kills while it could be seen. After the exit the Engine tells a code and a flag, which kernels and
 *  Engines forget to set; the memory that was in use is gone with the cgroup (docker.md rule 11). A runtime that did not
 *  watch at that moment has no evidence, and concludes nothing. */
export class KillEvidence {
  readonly #oom = new RecentSet<ContainerId>(REMEMBERED);
  readonly #ours = new RecentSet<ContainerId>(REMEMBERED);
  readonly #died = new RecentSet<ContainerId>(REMEMBERED);
  #begun = new RecentSet<ContainerId>(REMEMBERED);

  /** An event: the kernel killed a process of that container because its memory was at the limit. */
  sawOom(id: ContainerId): void {
    this.#oom.add(id);
  }

  /** An event: the container's process ended, and the Engine saw it. */
  sawDeath(id: ContainerId): void {
    this.#died.add(id);
  }

  /** We start it now, on an Engine that we are in touch with. */
  starts(id: ContainerId): void {
    this.#begun.add(id);
  }

  /** The Engine broke off: it may be another one that answers next. */
  lostTouch(): void {
    this.#begun = new RecentSet(REMEMBERED);
  }

  /** Whether the Engine went down before it, and found it dead later. A bot that ends with that very code while nobody
   *  watches is taken for such a one: then it is started without a wait, and from then on we know better. */
  diedWithEngine(id: ContainerId, code: number): boolean {
    return code === FOUND_DEAD && !this.#died.has(id) && !this.#begun.has(id);
  }

  /** We are about to stop it, by SIGKILL if need be. */
  stops(id: ContainerId): void {
    this.#ours.add(id);
  }

  /** A SIGKILL alone is no evidence: people and programs send it, too. */
  judge(id: ContainerId, code: number, flag: boolean): Exit["oom"] {
    if (flag) return "oom";
    return code === KILLED && this.#oom.has(id) && !this.#ours.has(id) ? "likely-oom" : "no";
  }
}
