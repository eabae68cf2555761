/** What is to be done, as hints ask for it. It is taken out before it is done, so a hint that comes meanwhile is a new one, and what
 *  fails is due again. */
export class Due<T> {
  readonly #items = new Set<T>();

  get size(): number {
    return this.#items.size;
  }

  [Symbol.iterator](): IterableIterator<T> {
    return this.#items.values();
  }

  add(items: Iterable<T>): void {
    for (const item of items) this.#items.add(item);
  }

  /** Does what is due now, the first `atMost` of it; nothing where nothing is. @throws what `act` does */
  async take(act: (items: readonly T[]) => Promise<unknown>, atMost = Infinity): Promise<void> {
    const items = [...this].slice(0, atMost);
    if (items.length === 0) return;
    for (const item of items) this.#items.delete(item);
    try {
      await act(items);
    } catch (error) {
      this.add(items);
      throw error;
    }
  }
}
