import type { Clock } from "../core/clock.ts";
import { StoreUnreachableError } from "../core/errors.ts";
import { type Operation, renewSession } from "../core/operations.ts";
import type { WorkerRecord } from "../core/records.ts";
import { afterCounter, afterRenewal, type Session } from "../core/session.ts";
import type { Timings } from "../core/timings.ts";

/** Where sessions are renewed. */
export interface Renewals {
  /** Applies O1 and gives the session's record as it is then; nothing when no record passed.
   *  @throws {StoreUnreachableError} when the outcome is unknown: it may have landed. */
  renew(operation: Operation): Promise<WorkerRecord | undefined>;
  workers(): Promise<readonly WorkerRecord[]>;
}

export type RenewerOptions = {
  readonly store: Renewals;
  readonly clock: Clock;
  readonly timings: Pick<Timings, "renewMs">;
  readonly isDraining: () => boolean;
  /** Whether the process may be called alive. While it may not, nothing is sent. */
  readonly mayRenew: () => boolean;
  /** Called after each try; `error` is why its outcome is unknown. */
  readonly onTried: (tried: { readonly session: Session; readonly isDrainAsked: boolean; readonly error?: unknown }) => void;
};

/** O1 at its pace: one call at a time, each counted from its sending. */
export class Renewer {
  readonly #options: RenewerOptions;
  #session: Session;
  #hbSeq: number | undefined;
  #isDrainAsked = false;

  constructor(session: Session, options: RenewerOptions) {
    this.#session = session;
    this.#options = options;
  }

  /** Renews until the signal aborts or the session is lost, which `onTried` has been told by then. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, timings, mayRenew } = this.#options;
    while (!signal.aborted) {
      const sentAt = clock.mono();
      if (mayRenew()) await this.#renew(sentAt);
      if (this.#session.lost !== undefined) return;
      await clock.sleep(Math.max(0, sentAt + timings.renewMs - clock.mono()), signal).catch(() => {});
    }
  }

  async #renew(sentAt: ReturnType<Clock["mono"]>): Promise<void> {
    const { store, isDraining, onTried } = this.#options;
    const { sid, inc } = this.#session;
    try {
      const record = await store.renew(renewSession(sid, inc, isDraining()));
      this.#session = record === undefined ? await this.#afterMiss(sentAt) : afterRenewal(this.#session, sentAt, "won");
      if (record !== undefined) {
        this.#session = afterCounter(this.#session, this.#hbSeq, record.hbSeq);
        this.#hbSeq = record.hbSeq;
        this.#isDrainAsked = record.drain === true;
      }
      onTried({ session: this.#session, isDrainAsked: this.#isDrainAsked });
    } catch (error) {
      if (!(error instanceof StoreUnreachableError)) throw error;
      onTried({ session: this.#session, isDrainAsked: this.#isDrainAsked, error });
    }
  }

  /** A newer process of this worker goes on with the session, or nobody does. */
  async #afterMiss(sentAt: ReturnType<Clock["mono"]>): Promise<Session> {
    const { sid, inc } = this.#session;
    const now = (await this.#options.store.workers()).find((w) => w._id === sid);
    return now !== undefined && now.inc > inc ? { ...this.#session, lost: "replaced" } : afterRenewal(this.#session, sentAt, "missed");
  }
}
