import type { MonoMs } from "../core/clock.ts";
import type { SessionId } from "../core/ids.ts";
import type { WorkerRecord } from "../core/records.ts";
import type { Timings } from "../core/timings.ts";

/** What is known of the process behind a session. */
type Met = {
  readonly inc: number;
  /** Since when it has been there under our eyes. */
  readonly since: MonoMs;
  readonly hbSeq: number;
  /** What the session's counter stood at when this process can have begun to watch, as far as we can tell. */
  readonly beganAt: number;
};

/** Who has watched the fleet for L, and could lead it without having to watch first: this process, and as far as it can be told from
 *  their renewals, the others. */
export class Seniority {
  readonly #timings: Pick<Timings, "endMs" | "renewMs">;
  #since: MonoMs | undefined;
  #met: ReadonlyMap<SessionId, Met> = new Map();

  constructor(timings: Pick<Timings, "endMs" | "renewMs">) {
    this.#timings = timings;
  }

  /** A look at all workers. `outageMs`: for so long nothing was seen before, where that was an outage. */
  saw(workers: readonly WorkerRecord[], now: MonoMs, outageMs: number | undefined): void {
    this.#met = new Map(workers.map((record) => [record._id, this.#meet(record, now, outageMs)]));
    this.#since = outageMs === undefined ? (this.#since ?? now) : now;
  }

  /** Whether we have watched for L. */
  isOurs(now: MonoMs): boolean {
    return this.#since !== undefined && now - this.#since >= this.#timings.endMs;
  }

  /** Whether this one may have watched for L: it has renewed for so long in the same process, and was not away when we were. */
  mayBeOf({ _id, hbSeq }: WorkerRecord): boolean {
    const { endMs, renewMs } = this.#timings;
    return (hbSeq - (this.#met.get(_id)?.beganAt ?? 0)) * renewMs >= endMs;
  }

  /** Whether this one has been there for L under our eyes, in the same process. */
  isProvenOf({ _id, inc }: WorkerRecord, now: MonoMs): boolean {
    const met = this.#met.get(_id);
    return met?.inc === inc && now - met.since >= this.#timings.endMs;
  }

  #meet({ _id, inc, hbSeq }: WorkerRecord, now: MonoMs, outageMs: number | undefined): Met {
    const past = this.#met.get(_id);
    if (past === undefined) return { inc, hbSeq, since: now, beganAt: 0 };
    if (past.inc !== inc) return { inc, hbSeq, since: now, beganAt: hbSeq };
    if (outageMs === undefined) return { ...past, hbSeq };
    const wasAway = (hbSeq - past.hbSeq) * this.#timings.renewMs < outageMs / 2;
    return { inc, hbSeq, since: now, beganAt: wasAway ? hbSeq : past.beganAt };
  }
}
