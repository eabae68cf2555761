import type { Clock, MonoMs } from "../core/clock.ts";
import { Bell } from "../process/bell.ts";

/** A visit calls `looking` right before it looks afresh at all that it decides by: requests up to then are served by that look. */
export type Visit<Key> = (key: Key, looking: () => void, signal: AbortSignal) => Promise<void>;

/** Runs `visit` for keys on request: at most one visit a key at a time, any number of keys side by side.
 *
 *  idle -> queued: `request`. queued -> visiting: at once, or at its time. visiting -> dirty: `request` during a visit;
 *  another visit follows it. dirty -> visiting: the visit looks afresh. INVARIANT: a request is followed by a look that
 *  *begins* after it, so nothing that was true at the request can be missed. */
export class KeyedQueue<Key extends string> {
  readonly #clock: Clock;
  readonly #visit: Visit<Key>;
  readonly #visiting = new Map<Key, { dirty: boolean }>();
  readonly #due = new Map<Key, MonoMs>();
  readonly #bell = new Bell();
  readonly #running = new Set<Promise<void>>();

  constructor(clock: Clock, visit: Visit<Key>) {
    this.#clock = clock;
    this.#visit = visit;
  }

  /** Asks for a visit at `at` (now if absent). The earliest request wins. */
  request(key: Key, at: MonoMs = this.#clock.mono()): void {
    const visit = this.#visiting.get(key);
    if (visit !== undefined && at <= this.#clock.mono()) {
      visit.dirty = true;
      return;
    }
    const due = this.#due.get(key);
    if (due !== undefined && due <= at) return;
    this.#due.set(key, at);
    this.#bell.ring();
  }

  /** Keys with a visit under way: until it ends its effects are not all known. */
  visiting(): IterableIterator<Key> {
    return this.#visiting.keys();
  }

  /** Starts due visits until the signal aborts, then waits for those under way. `visit` must not throw. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const now = this.#clock.mono();
      let next = now + 60_000;
      for (const [key, at] of this.#due) {
        if (at > now || this.#visiting.has(key)) {
          if (at > now) next = Math.min(next, at);
          continue;
        }
        this.#due.delete(key);
        this.#begin(key, signal);
      }
      await this.#bell.wait(this.#clock, next - now, signal);
    }
    await Promise.all(this.#running);
  }

  #begin(key: Key, signal: AbortSignal): void {
    const state = { dirty: false };
    this.#visiting.set(key, state);
    const looking = (): void => void (state.dirty = false);
    const done = this.#visit(key, looking, signal).finally(() => {
      this.#running.delete(done);
      this.#visiting.delete(key);
      if (state.dirty) this.request(key);
      else if (this.#due.has(key)) this.#bell.ring();
    });
    this.#running.add(done);
  }
}
