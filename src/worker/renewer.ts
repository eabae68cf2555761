import type { Clock, MonoMs } from "../core/clock.ts";
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

/** What one try has changed; `error` is why its outcome is unknown. */
type Tried = { readonly change: (before: Session) => Session; readonly isDrainAsked: boolean; readonly error?: unknown };

export type RenewerOptions = {
  readonly store: Renewals;
  readonly clock: Clock;
  readonly timings: Pick<Timings, "renewMs">;
  /** The session as it stands: another store may keep it alive, too. */
  readonly session: () => Session;
  readonly isDraining: () => boolean;
  /** Whether the Docker Engine is out of reach; absent where nobody else could use the word. */
  readonly isDegraded?: () => boolean;
  /** Whether the process may be called alive. While it may not, nothing is sent. */
  readonly mayRenew: () => boolean;
  readonly onTried: (tried: Tried) => void;
};

const unchanged = (session: Session): Session => session;

/** O1 at its pace: one call at a time, each counted from its sending. */
export class Renewer {
  readonly #options: RenewerOptions;
  #hbSeq: number | undefined;
  #isDrainAsked = false;

  constructor(options: RenewerOptions) {
    this.#options = options;
  }

  /** Renews until the signal aborts or the session is lost. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, timings, mayRenew, session } = this.#options;
    while (!signal.aborted) {
      const sentAt = clock.mono();
      if (mayRenew()) await this.#renew(sentAt);
      if (session().lost !== undefined) return;
      await clock.sleep(Math.max(0, sentAt + timings.renewMs - clock.mono()), signal).catch(() => {});
    }
  }

  async #renew(sentAt: MonoMs): Promise<void> {
    const { store, isDraining, isDegraded, onTried, session } = this.#options;
    const { sid, inc } = session();
    try {
      const record = await store.renew(renewSession(sid, inc, isDraining(), isDegraded?.()));
      const change = record === undefined ? await this.#afterMiss(sid, inc, sentAt) : this.#afterWin(record, sentAt);
      onTried({ change, isDrainAsked: this.#isDrainAsked });
    } catch (error) {
      if (!(error instanceof StoreUnreachableError)) throw error;
      onTried({ change: unchanged, isDrainAsked: this.#isDrainAsked, error });
    }
  }

  #afterWin({ hbSeq, drain }: WorkerRecord, sentAt: MonoMs): Tried["change"] {
    const past = this.#hbSeq;
    this.#hbSeq = hbSeq;
    this.#isDrainAsked = drain === true;
    return (before) => afterCounter(afterRenewal(before, sentAt, "won"), past, hbSeq);
  }

  /** A newer process of this worker goes on with the session, or nobody does. */
  async #afterMiss(sid: Session["sid"], inc: number, sentAt: MonoMs): Promise<Tried["change"]> {
    const now = (await this.#options.store.workers()).find((w) => w._id === sid);
    if (now !== undefined && now.inc > inc) return (before) => (before.lost === undefined ? { ...before, lost: "replaced" } : before);
    return (before) => afterRenewal(before, sentAt, "missed");
  }
}
