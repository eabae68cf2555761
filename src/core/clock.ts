declare const mono: unique symbol;
/** Milliseconds on a monotonic clock: only differences mean anything, and only within one process. */
export type MonoMs = number & { readonly [mono]: true };

/** Time as a value. Durations come from `mono`; `wall` is for people and never enters a decision. */
export interface Clock {
  mono(): MonoMs;
  wall(): Date;
  /** Resolves after `ms` milliseconds. @throws `signal.reason` itself as soon as the signal aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export function after(now: MonoMs, ms: number): MonoMs {
  return (now + ms) as MonoMs;
}
