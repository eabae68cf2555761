import { ConfigurationError, SessionLostError } from "../core/errors.ts";
import type { Clock } from "../core/clock.ts";
import type { SessionId } from "../core/ids.ts";
import { continueSession, renewSession, stepDown } from "../core/operations.ts";
import { PROTO, type WorkerRecord } from "../core/records.ts";
import { isLiving, isMoving } from "../core/session.ts";
import type { WorkerBus } from "./events.ts";
import type { WorkerStore } from "./ports.ts";

export type SessionOptions = {
  readonly store: WorkerStore;
  readonly clock: Clock;
  readonly bus: WorkerBus;
  /** What names this worker for life: outside a cluster the Docker Engine's ID. */
  readonly base: string;
  readonly pod: string;
  readonly node: string;
  readonly capacity: number;
  /** H of ownership.md, in ms. */
  readonly renewMs: number;
};

/** This process's life-line in the store. Not a lease yet: one process alone has no fence and outlives MongoDB, so all
 *  a renewal can tell is that somebody has ended or replaced the session. */
export class Session {
  readonly sid: SessionId;
  readonly inc: number;
  readonly #options: SessionOptions;

  private constructor(sid: SessionId, inc: number, options: SessionOptions) {
    this.sid = sid;
    this.inc = inc;
    this.#options = options;
  }

  /** O0. Goes on with the session of a process that is no more, or opens a new one.
   *  @throws {ConfigurationError} when the session is alive in another process. */
  static async open(options: SessionOptions, signal: AbortSignal): Promise<Session> {
    const { store, clock, base, bus } = options;
    for (;;) {
      const mine = (await store.workers())
        .filter((w) => w._id === base || w._id.startsWith(`${base}/`))
        .toSorted((a, b) => number(a) - number(b));
      const last = mine.at(-1);
      if (last !== undefined && isLiving(last.state)) {
        await refuseLiving(last, options, signal);
        if ((await store.apply(continueSession(last._id, last.inc))) === "missed") continue; // somebody else moved: look again
        bus.emit("session:opened", { sid: last._id, inc: last.inc + 1, continued: true });
        return new Session(last._id, last.inc + 1, options);
      }
      // `dead` and `gone` are final: the next life has a name of its own.
      const sid = (last === undefined ? base : `${base}/${number(last) + 1}`) as SessionId;
      const record: WorkerRecord = {
        _id: sid,
        inc: 1,
        hbSeq: 0,
        state: "up",
        proto: PROTO,
        capacity: options.capacity,
        pod: options.pod,
        node: options.node,
      };
      if ((await store.insert("workers", record)) === "exists") continue;
      bus.emit("session:opened", { sid, inc: 1, continued: false });
      return new Session(sid, 1, options);
    }

    async function refuseLiving(seen: WorkerRecord, { renewMs }: SessionOptions, until: AbortSignal): Promise<void> {
      await clock.sleep(3 * renewMs, until);
      const later = (await store.workers()).find((w) => w._id === seen._id);
      if (later !== undefined && isMoving(seen, later))
        throw new ConfigurationError(
          `Cannot start beside a living session: "${later.pod}" runs bots with session "${later._id}" on this Docker Engine and database. ` +
            "Stop that process, or give this one a database and an engine of its own (MONGO_URI, DB_NAME, DOCKER_HOST)",
        );
    }
  }

  /** O1, once. @throws {SessionLostError} when this process owns nothing any more; {StoreUnreachableError} tells nothing. */
  async renew(): Promise<void> {
    const { store, bus } = this.#options;
    if ((await store.apply(renewSession(this.sid, this.inc))) === "won") {
      bus.emit("session:renewed");
      return;
    }
    const now = (await store.workers()).find((w) => w._id === this.sid);
    throw new SessionLostError(now !== undefined && now.inc > this.inc ? "replaced" : "ended");
  }

  async stepDown(to: "draining" | "gone"): Promise<void> {
    await this.#options.store.apply(stepDown(this.sid, this.inc, to));
  }
}

/** The n of `base/n`; the first life has none and counts as 1. */
function number(worker: WorkerRecord): number {
  const slash = worker._id.lastIndexOf("/");
  return slash < 0 ? 1 : Number(worker._id.slice(slash + 1));
}
