import { botIdOf } from "../core/ids.ts";
import type { Hint, Watched } from "../core/ledger.ts";
import { rawIdOf } from "./bots.ts";

/** More ids than this are not worth naming: everything is looked at. Source: the ChangeFeed port. */
const MAX_IDS = 1_000;

/** What changed since the last hint, bounded. */
export class Gathered {
  readonly #what: Watched;
  readonly #ids = new Set<string>();
  #unusable = false;
  #all = false;

  constructor(what: Watched) {
    this.#what = what;
  }

  /** A change without a document's key is one of the whole collection. */
  add(change: object): void {
    if (this.#all) return;
    if (!("documentKey" in change)) {
      this.#all = true;
      return;
    }
    const id = this.#idOf((change.documentKey as { readonly _id: unknown })._id);
    if (id === undefined) this.#unusable = true;
    else this.#ids.add(id);
    this.#all = this.#ids.size > MAX_IDS;
  }

  take(): Hint[] {
    const some: Hint[] = this.#ids.size > 0 ? [{ kind: "some", ids: [...this.#ids] }] : [];
    const hints: Hint[] = this.#all ? [{ kind: "all" }] : [...some, ...(this.#unusable ? [{ kind: "unusable" } as const] : [])];
    this.#ids.clear();
    this.#unusable = false;
    this.#all = false;
    return hints;
  }

  #idOf(id: unknown): string | undefined {
    if (this.#what === "segments") return String(id);
    const verdict = botIdOf(rawIdOf(id));
    return verdict.ok ? verdict.id : undefined;
  }
}
