import { ConfigurationError, SessionLostError } from "../core/errors.ts";
import type { Clock } from "../core/clock.ts";
import type { SessionId } from "../core/ids.ts";
import { continueSession, renewSession, stepDown } from "../core/operations.ts";
import { PROTO, type WorkerRecord } from "../core/records.ts";
import { planRegistration } from "../core/registration.ts";
import { afterRenewal, isMoving, openSession, type Session as SessionView } from "../core/session.ts";
import type { WorkerBus } from "./events.ts";
import type { WorkerStore } from "./ports.ts";

/** The session that the last process on our state directory had: that process is no more, for we hold its lock. */
export type SessionMark = {
  readonly held: { readonly sid: SessionId; readonly inc: number } | undefined;
  keep(session: { readonly sid: SessionId; readonly inc: number }): Promise<void>;
};

export type SessionOptions = {
  readonly store: WorkerStore;
  readonly clock: Clock;
  readonly bus: WorkerBus;
  /** What names this worker for life: outside a cluster the Docker Engine's ID. */
  readonly base: string;
  /** Whose worker it is: the owner in `control.fleet`. */
  readonly fleet: string;
  readonly pod: string;
  readonly node: string;
  readonly capacity: number;
  /** H of ownership.md, in ms. */
  readonly renewMs: number;
  readonly last: SessionMark;
};

/** This process's life-line in the store. Not a lease yet: one process alone has no fence and outlives MongoDB, so all
 *  a renewal can tell is that somebody has ended or replaced the session. */
export class Session {
  readonly sid: SessionId;
  readonly inc: number;
  readonly #options: SessionOptions;
  #view: SessionView;
  #isDraining = false;

  private constructor(view: SessionView, options: SessionOptions) {
    this.sid = view.sid;
    this.inc = view.inc;
    this.#view = view;
    this.#options = options;
  }

  /** O0. Goes on with the session of a process that is no more, or opens a new one.
   *  @throws {ConfigurationError} when the session is alive in another process. */
  static async open(options: SessionOptions, signal: AbortSignal): Promise<Session> {
    const session = await Session.#open(options, signal);
    await options.last.keep(session);
    return session;
  }

  static async #open(options: SessionOptions, signal: AbortSignal): Promise<Session> {
    const { store, clock, base, bus, renewMs, last } = options;
    for (;;) {
      const plan = planRegistration(base, await store.workers());
      const sentAt = clock.mono();
      if (plan.kind === "continue") {
        const { _id: sid, inc } = plan.record;
        // A session that our own state directory knows needs no watching: whoever had it held our lock.
        if (last.held?.sid !== sid || last.held.inc !== inc) await refuseLiving(plan.record);
        if ((await store.apply(continueSession(sid, inc))) === "missed") continue; // somebody else moved: look again
        bus.emit("session:opened", { sid, inc: inc + 1, continued: true });
        return new Session(openSession(sid, inc + 1, sentAt), options);
      }
      const { sid } = plan;
      const record: WorkerRecord = {
        _id: sid,
        inc: 1,
        hbSeq: 0,
        state: "up",
        proto: PROTO,
        capacity: options.capacity,
        pod: options.pod,
        node: options.node,
        fleet: options.fleet,
      };
      if ((await store.insert("workers", record)) === "exists") continue;
      bus.emit("session:opened", { sid, inc: 1, continued: false });
      return new Session(openSession(sid, 1, sentAt), options);
    }

    async function refuseLiving(seen: WorkerRecord): Promise<void> {
      await clock.sleep(3 * renewMs, signal);
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
    const { store, bus, clock } = this.#options;
    const sentAt = clock.mono();
    this.#view = afterRenewal(this.#view, sentAt, await store.apply(renewSession(this.sid, this.inc, this.#isDraining)));
    if (this.#view.lost === undefined) {
      bus.emit("session:renewed");
      return;
    }
    const now = (await store.workers()).find((w) => w._id === this.sid);
    throw new SessionLostError(now !== undefined && now.inc > this.inc ? "replaced" : "ended");
  }

  /** Says that this worker is on its way out, or has left. Every later renewal says the first again, should this be lost. */
  async stepDown(to: "draining" | "gone"): Promise<void> {
    this.#isDraining = true;
    await this.#options.store.apply(stepDown(this.sid, this.inc, to));
  }
}
