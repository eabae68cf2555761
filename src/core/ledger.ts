import type { Collection, Operation, Outcome } from "./operations.ts";

/** Where the protocol's documents live. Majority-acknowledged, one document a write. */
export interface Ledger {
  /** Applies a compare-and-set; `missed` when no document passed its tests.
   *  @throws {StoreUnreachableError} when the outcome is unknown: it may have landed. */
  apply(operation: Operation): Promise<Outcome>;
  /** @throws {StoreUnreachableError} when the outcome is unknown: it may have landed. */
  insert(
    collection: Collection,
    record: { readonly _id: string | number } & Readonly<Record<string, unknown>>,
  ): Promise<"inserted" | "exists">;
}

/** Something may have changed: look again. A hint never carries the new state, so a lost, late or repeated one does no harm. */
export type Hint =
  | { readonly kind: "all" }
  | { readonly kind: "some"; readonly ids: readonly string[] }
  /** A document changed whose `_id` cannot name a bot. */
  | { readonly kind: "unusable" };

export type Watched = "bots" | "placements" | "segments";

export interface ChangeFeed {
  /** Calls `onHint` with `all` whenever nothing is known about what was missed (at the start, after each lost connection,
   *  every few minutes), with `some` in between (at most 1,000 ids; after one, what follows is gathered for 50 ms); the
   *  insert of an inactive placement concerns nobody and may go untold. Where the server has no change streams it says
   *  `all` at each poll. Returns when the signal aborts; connection faults never end it. */
  watch(what: Watched, onHint: (hint: Hint) => void, signal: AbortSignal): Promise<void>;
}
