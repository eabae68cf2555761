import type { Clock, MonoMs } from "../core/clock.ts";
import type { FenceFile } from "../core/fence.ts";
import { afterLeaseRenewal, fenceDeadline, isLeaseDue, type Session } from "../core/session.ts";
import type { Timings } from "../core/timings.ts";
import type { Bell } from "../process/bell.ts";
import { type Actor, runGroup } from "../process/run-group.ts";
import type { LeaseRenewer } from "./lease-renewer.ts";
import { Renewer, type Renewals } from "./renewer.ts";

/** How old the main loop's last sign of life may be, in ms. Source: ownership.md "Worker". */
const MAX_SILENCE_MS = 10_000;
/** As long as a timer can be set, in ms. */
const FOR_EVER_MS = 2 ** 31 - 1;

/** What the two threads say to each other. */
export type ToHeartbeat = { readonly kind: "drain" | "restart-engine" };
export type FromHeartbeat = {
  readonly session: Session;
  readonly isDrainAsked: boolean;
  /** Where it was tried to renew, and why it came to nothing, if it did. Absent in the first message. */
  readonly tried?: { readonly store: "mongodb" | "kubernetes"; readonly reason: string | undefined };
  /** A restart that was asked for has ended: how long it took until nothing ran. */
  readonly restartMs?: number;
};

/** The main loop's last sign of life, and whether its Docker Engine is out of reach, in memory that both threads see. */
export class Pulse {
  readonly memory: SharedArrayBuffer;
  readonly #at: Float64Array;

  constructor(memory = new SharedArrayBuffer(2 * Float64Array.BYTES_PER_ELEMENT)) {
    this.memory = memory;
    this.#at = new Float64Array(memory);
  }

  beat(now: MonoMs): void {
    this.#at[0] = now;
  }

  set isDegraded(is: boolean) {
    this.#at[1] = Number(is);
  }

  get isDegraded(): boolean {
    return this.#at[1] === 1;
  }

  ageMs(now: MonoMs): number {
    return now - (this.#at[0] ?? 0);
  }
}

export type HeartbeatOptions = {
  readonly store: Renewals;
  /** The second store; absent where there is none. */
  readonly lease?: LeaseRenewer;
  readonly clock: Clock;
  readonly timings: Timings;
  readonly pulse: Pulse;
  readonly isDraining: () => boolean;
  /** Tells the fence. @throws when its file cannot be written: then the old deadline holds */
  readonly tellFence: (file: Omit<FenceFile, "bootId">) => void;
  /** Rings when everything behind the fence shall die and the Engine come up anew. */
  readonly restartAsked: Bell;
  /** Tells the fence of a lapsed deadline, and returns once nothing runs behind it.
   *  @throws {FenceSilentError} when the fence does not say so: then this process must end */
  readonly killAll: (signal: AbortSignal) => Promise<void>;
  readonly tell: (message: FromHeartbeat) => void;
};

/** Keeps a lease alive: renews it in each store at its pace, tells the fence until when bots may run, and then the main
 *  thread. Ends when the session is lost.
 *
 *  open -(a restart is asked for: a lapsed deadline is written)-> held: renewals go on, their deadlines are kept back.
 *  -(the fence says that nothing runs)-> open: the last of them is written, and dockerd starts.
 *  INVARIANT: the fence never hears of a deadline that an acknowledged renewal does not bear, and from when this has begun it hears of
 *  one from here only. */
export async function keepAlive(opened: Session, options: HeartbeatOptions, signal: AbortSignal): Promise<void> {
  const { store, lease, clock, timings, pulse, isDraining, tellFence, restartAsked, killAll, tell } = options;
  let session = opened;
  let isHeld = false;
  let isDrainAsked = false;
  const isAlive = (): boolean => pulse.ageMs(clock.mono()) < MAX_SILENCE_MS;
  const tellDeadline = (): void => {
    const deadline = fenceDeadline(session, timings);
    if (deadline !== undefined && !isHeld) tellFence({ deadline, reading: clock.mono() });
  };
  const settle = (change: (before: Session) => Session, store?: "mongodb" | "kubernetes", error?: unknown): void => {
    session = change(session);
    tellDeadline();
    const reason = error === undefined ? undefined : textOf(error);
    tell({ session, isDrainAsked, ...(store !== undefined && { tried: { store, reason } }) });
  };
  settle((before) => before);

  const renewer = new Renewer({
    store,
    clock,
    timings,
    isDraining,
    isDegraded: () => pulse.isDegraded,
    mayRenew: isAlive,
    session: () => session,
    onTried: ({ change, isDrainAsked: asked, error }) => {
      isDrainAsked = asked;
      settle(change, "mongodb", error);
    },
  });
  const keepLease = async (own: LeaseRenewer, s: AbortSignal): Promise<void> => {
    while (!s.aborted && session.lost === undefined) {
      const roundAt = clock.mono();
      if (isAlive() && isLeaseDue(session, roundAt, timings)) {
        const { sentAt, outcome, error } = await own.renew(session);
        settle((before) => afterLeaseRenewal(before, sentAt, outcome), "kubernetes", error);
      }
      await clock.sleep(Math.max(0, roundAt + timings.renewMs - clock.mono()), s).catch(() => {});
    }
  };
  const keepEngine = async (s: AbortSignal): Promise<void> => {
    while (!s.aborted) {
      if (!(await restartAsked.wait(clock, FOR_EVER_MS, s)) || session.lost !== undefined) continue;
      const began = clock.mono();
      isHeld = true;
      await killAll(s);
      isHeld = false;
      tellDeadline();
      tell({ session, isDrainAsked, restartMs: clock.mono() - began });
    }
  };
  const actors: Actor[] = [(s) => renewer.run(s), keepEngine];
  if (lease !== undefined) actors.push((s) => keepLease(lease, s));
  await runGroup(actors, signal);
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
