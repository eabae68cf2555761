import { retryDelayMs } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import { ClusterRefusedError, ClusterUnreachableError, EngineUnreachableError, StoreUnreachableError } from "../core/errors.ts";

const PASSING = [StoreUnreachableError, EngineUnreachableError, ClusterUnreachableError, ClusterRefusedError];

/** The one retry policy: only faults that pass by themselves are tried again, everything else is the caller's. What the
 *  Kubernetes API refuses counts as passing: a Role that is being changed must not end a process whose bots run on. */
export function isPassing(error: unknown): boolean {
  return PASSING.some((fault) => error instanceof fault);
}

export type RetryOptions = {
  readonly clock: Clock;
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** Called before each wait; `attempt` counts from 0. */
  readonly onRetry?: (error: unknown, attempt: number) => void;
};

/** Runs `act` until it succeeds, waiting 0.2 s doubling to 30 s between tries.
 *  @throws what `act` throws if that does not pass by itself; `signal.reason` once the signal aborts. */
export async function retryPassing<T>(act: () => Promise<T>, { clock, random, signal, onRetry }: RetryOptions): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    signal.throwIfAborted();
    try {
      return await act();
    } catch (error) {
      if (!isPassing(error)) throw error;
      onRetry?.(error, attempt);
      await clock.sleep(retryDelayMs(attempt, random), signal);
    }
  }
}

/** Runs one round of a loop. A fault that passes by itself is told to `onFault` and given back, and the loop's next round
 *  tries again. @throws any other fault */
export async function tolerate(round: () => Promise<void>, onFault: (error: unknown) => void): Promise<unknown> {
  try {
    await round();
    return undefined;
  } catch (error) {
    if (!isPassing(error)) throw error;
    onFault(error);
    return error;
  }
}
