import type { Clock } from "../core/clock.ts";
import { isPassing } from "./retry.ts";

export type CallsInHandOptions = {
  readonly clock: Clock;
  /** A round waits so long for the calls that it has just begun, in ms. */
  readonly patienceMs: number;
  /** Calls in hand at the same time. */
  readonly width: number;
  /** A call has ended after its round went on without it, with a fault or without. */
  readonly onLate: (fault: unknown) => void;
};

type Round = { isOver: boolean; readonly faults: unknown[] };
type Call<K> = readonly [key: K, act: () => Promise<void>];

/** The calls that a loop's rounds make, at most one for each key at a time. A round goes on without an answer that is late,
 *  so that one lost reply keeps neither the loop nor other keys waiting for the length of a call. */
export class CallsInHand<K> {
  readonly #options: CallsInHandOptions;
  readonly #calls = new Map<K, Promise<void>>();
  #fault: Error | undefined;

  constructor(options: CallsInHandOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#calls.size === 0;
  }

  has(key: K): boolean {
    return this.#calls.has(key);
  }

  /** Begins these calls, save those whose key has one in hand, and waits for them a moment. What finds no room is left
   *  out: the next round will ask again.
   *  @throws the fault of a call that ended meanwhile, or earlier one that does not pass by itself; later calls are not begun */
  async run(calls: Iterable<Call<K>>): Promise<void> {
    if (this.#fault !== undefined) throw this.#fault;
    const line = [...calls].filter(([key]) => !this.#calls.has(key));
    while (line.length > 0 && this.#calls.size < this.#options.width) {
      const round: Round = { isOver: false, faults: [] };
      await this.#wait(line.splice(0, this.#options.width - this.#calls.size).map((call) => this.#begin(call, round)));
      round.isOver = true;
      if (round.faults.length > 0) throw round.faults.find((fault) => !isPassing(fault)) ?? round.faults[0];
    }
  }

  /** Resolves once none is in hand. */
  async ended(): Promise<void> {
    await Promise.all(this.#calls.values());
  }

  #begin([key, act]: Call<K>, round: Round): Promise<void> {
    const call = act()
      .then(
        () => undefined,
        (fault: unknown) => fault,
      )
      .then((fault) => {
        this.#calls.delete(key);
        if (round.isOver) this.#onLate(fault);
        else if (fault !== undefined) round.faults.push(fault);
      });
    this.#calls.set(key, call);
    return call;
  }

  #onLate(fault: unknown): void {
    if (fault instanceof Error && !isPassing(fault)) this.#fault ??= fault;
    this.#options.onLate(fault);
  }

  async #wait(calls: readonly Promise<void>[]): Promise<void> {
    const { clock, patienceMs } = this.#options;
    const done = new AbortController();
    const patience = clock.sleep(patienceMs, done.signal).catch(() => {}); // woken up: all answers are here
    await Promise.race([Promise.all(calls), patience]);
    done.abort();
  }
}
