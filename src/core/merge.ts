import { compareIds } from "./ids.ts";

/** What all streams hold under one id; absent where a stream has nothing. */
export type Row<T> = { readonly id: string; readonly parts: readonly (T | undefined)[] };

/** Joins streams that are each sorted by `idOf` in the order of `compareIds`. Holds one item of each: its memory does
 *  not grow with their length. @throws {RangeError} when a stream is out of order, for then the join would be wrong. */
export async function* mergeSorted<T>(streams: readonly AsyncIterable<T>[], idOf: (item: T) => string): AsyncGenerator<Row<T>> {
  const sources = streams.map((s) => s[Symbol.asyncIterator]());
  try {
    const heads: IteratorResult<T>[] = [];
    // One after the other: the first answer is the dearest, and a slow server must not be asked for all of them at once.
    for (const source of sources) heads.push(await source.next());
    for (;;) {
      let id: string | undefined;
      for (const head of heads) {
        if (head.done === true) continue;
        const candidate = idOf(head.value);
        if (id === undefined || compareIds(candidate, id) < 0) id = candidate;
      }
      if (id === undefined) return;
      const parts: (T | undefined)[] = [];
      for (const [i, head] of heads.entries()) {
        const mine = head.done !== true && idOf(head.value) === id;
        parts.push(mine ? head.value : undefined);
        const source = sources[i];
        if (!mine || source === undefined) continue;
        const next = await source.next();
        if (next.done !== true && compareIds(idOf(next.value), id) <= 0)
          throw new RangeError(`Cannot merge streams that are not sorted: "${idOf(next.value)}" came after "${id}"`);
        heads[i] = next;
      }
      yield { id, parts };
    }
  } finally {
    await Promise.allSettled(sources.map(async (s) => s.return?.()));
  }
}
