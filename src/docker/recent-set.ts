/** A set that remembers the latest `limit` values and forgets the others, the oldest first. */
export class RecentSet<T> {
  readonly #values = new Set<T>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  has(value: T): boolean {
    return this.#values.has(value);
  }

  /** Whether it is new here. A value that is added again counts as the latest. */
  add(value: T): boolean {
    const isNew = !this.#values.delete(value);
    this.#values.add(value);
    if (this.#values.size > this.#limit) this.#values.delete(this.#values.keys().next().value as T);
    return isNew;
  }
}
