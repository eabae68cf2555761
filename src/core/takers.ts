import type { SessionId } from "./ids.ts";

/** A worker that may be given segments, with what it has and what this plan adds. */
export type Taker = {
  readonly sid: SessionId;
  /** Rank of its ReplicaSet: higher is newer. */
  readonly generation: number;
  readonly capacity: number;
  /** Active segments that it keeps, and those that are on their way to it. */
  load: number;
  /** Bots in those segments. */
  bots: number;
};

/** Below its capacity a worker takes any segment, however large; so a first one fits always, unless the capacity is 0. */
export const hasRoom = ({ bots, capacity }: Taker): boolean => bots < capacity;

/** The workers of one generation: `rows[n]` holds those with n segments, `row` and `next` say where the least loaded stands. */
type Group = { readonly rows: Taker[][]; row: number; next: number };

/** Workers by generation and load. Loads only grow while a plan is made, so every pointer moves one way and a whole plan
 *  costs one step per worker and segment: no search.
 *  INVARIANT: a taker stands in the row of its present load, and perhaps, as a stale entry, in rows before. */
export class Takers {
  readonly #groups: readonly Group[];
  readonly #byGeneration: ReadonlyMap<number, Group>;
  readonly #share: number;
  readonly #last: Taker | undefined;
  /** For each limit in use: how many of the newest groups have nobody below it any more. */
  readonly #from = new Map<number, number>();

  /** `last` is taken only when no other will do. `total` segments shared by all others give each one's share. */
  constructor(all: readonly Taker[], last: Taker | undefined, total: number) {
    const takers = all.filter((taker) => taker !== last);
    this.#last = last;
    this.#share = Math.max(1, Math.ceil(total / Math.max(1, takers.length)));
    const groups = new Map<number, Group>();
    for (const taker of takers) {
      let group = groups.get(taker.generation);
      if (group === undefined) groups.set(taker.generation, (group = { rows: [], row: 0, next: 0 }));
      (group.rows[taker.load] ??= []).push(taker);
    }
    this.#byGeneration = groups;
    this.#groups = [...groups].toSorted(([a], [b]) => b - a).map(([, group]) => group);
  }

  /** An idle worker of the newest generation that has one. */
  idle(): Taker | undefined {
    return this.#upTo(1);
  }

  /** The least loaded worker of the newest generation in which one has less than its share. Full ones leave theirs to the
   *  others: rather more than a share than a segment that nobody runs. */
  sharing(): Taker | undefined {
    return this.#upTo(this.#share) ?? this.#upTo(Infinity);
  }

  /** The worker that is there for when nobody else will do: to be asked for after `sharing` found none, which it never will again. */
  last(): Taker | undefined {
    return this.#last !== undefined && hasRoom(this.#last) ? this.#last : undefined;
  }

  /** Whether this very worker may take one more beside what it has. */
  mayShare(taker: Taker): boolean {
    return taker.load < this.#share && hasRoom(taker);
  }

  /** Books one more segment on a worker. */
  give(taker: Taker, bots: number): void {
    taker.load += 1;
    taker.bots += bots;
    const rows = this.#byGeneration.get(taker.generation)?.rows;
    if (rows !== undefined) (rows[taker.load] ??= []).push(taker);
  }

  #upTo(limit: number): Taker | undefined {
    for (let from = this.#from.get(limit) ?? 0; from < this.#groups.length; this.#from.set(limit, ++from)) {
      const taker = this.#least(from);
      if (taker !== undefined && taker.load < limit) return taker;
    }
    return undefined;
  }

  /** Steps over rows that are used up, stale entries, and workers that are full: none of them comes back. */
  #least(index: number): Taker | undefined {
    const group = this.#groups[index];
    if (group === undefined) return undefined;
    for (; group.row < group.rows.length; group.row++, group.next = 0) {
      const row = group.rows[group.row] ?? [];
      for (; group.next < row.length; group.next++) {
        const taker = row[group.next];
        if (taker !== undefined && taker.load === group.row && hasRoom(taker)) return taker;
      }
    }
    return undefined;
  }
}
