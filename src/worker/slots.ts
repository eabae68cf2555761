/** A fixed number of slots, given to groups in turn: a group with many waiting holds up nobody else's first. Within a
 *  group the order is that of asking. */
export class Slots<Group> {
  #free: number;
  /** Groups with somebody waiting, next in turn first. */
  readonly #waiting = new Map<Group, (() => void)[]>();

  constructor(count: number) {
    this.#free = count;
  }

  /** Waits for a slot, runs `act` in it, gives it back whatever happens. */
  async use<T>(group: Group, act: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await this.#turnOf(group);
    try {
      return await act();
    } finally {
      this.#passOn();
    }
  }

  #turnOf(group: Group): Promise<void> {
    return new Promise((resolve) => {
      const queue = this.#waiting.get(group);
      if (queue === undefined) this.#waiting.set(group, [resolve]);
      else queue.push(resolve);
    });
  }

  #passOn(): void {
    const [turn] = this.#waiting;
    if (turn === undefined) {
      this.#free += 1;
      return;
    }
    const [group, [next, ...rest]] = turn;
    // To the end of the row: every other group comes before its next one.
    this.#waiting.delete(group);
    if (rest.length > 0) this.#waiting.set(group, rest);
    next?.();
  }
}
