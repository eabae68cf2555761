import type { Clock, MonoMs } from "../core/clock.ts";
import { fenceDeadline, type Session } from "../core/session.ts";
import type { Timings } from "../core/timings.ts";
import type { FenceFile } from "../core/fence.ts";
import { Renewer, type Renewals } from "./renewer.ts";

/** How old the main loop's last sign of life may be, in ms. Source: ownership.md "Worker". */
const MAX_SILENCE_MS = 10_000;

/** What the two threads say to each other. */
export type ToHeartbeat = { readonly kind: "drain" };
export type FromHeartbeat = {
  readonly session: Session;
  readonly isDrainAsked: boolean;
  /** Why nothing was renewed. */ readonly fault?: string;
};

/** The main loop's last sign of life, in memory that both threads see. */
export class Pulse {
  readonly memory: SharedArrayBuffer;
  readonly #at: Float64Array;

  constructor(memory = new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT)) {
    this.memory = memory;
    this.#at = new Float64Array(memory);
  }

  beat(now: MonoMs): void {
    this.#at[0] = now;
  }

  ageMs(now: MonoMs): number {
    return now - (this.#at[0] ?? 0);
  }
}

export type HeartbeatOptions = {
  readonly store: Renewals;
  readonly clock: Clock;
  readonly timings: Timings;
  readonly pulse: Pulse;
  readonly isDraining: () => boolean;
  /** Tells the fence. @throws when its file cannot be written: then the old deadline holds */
  readonly tellFence: (file: Omit<FenceFile, "bootId">) => void;
  readonly tell: (message: FromHeartbeat) => void;
};

/** Keeps a lease alive: renews it, tells the fence until when bots may run, and then the main thread.
 *  INVARIANT: the fence never hears of a deadline that an acknowledged renewal does not bear. */
export async function keepAlive(opened: Session, options: HeartbeatOptions, signal: AbortSignal): Promise<void> {
  const { store, clock, timings, pulse, isDraining, tellFence, tell } = options;
  const settle = (session: Session): void => {
    const deadline = fenceDeadline(session, timings);
    if (deadline !== undefined) tellFence({ deadline, reading: clock.mono() });
  };
  settle(opened);
  const renewer = new Renewer(opened, {
    store,
    clock,
    timings,
    isDraining,
    mayRenew: () => pulse.ageMs(clock.mono()) < MAX_SILENCE_MS,
    onTried: ({ session, isDrainAsked, error }) => {
      settle(session);
      tell({ session, isDrainAsked, ...(error !== undefined && { fault: textOf(error) }) });
    },
  });
  await renewer.run(signal);
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
