import { ConfigurationError } from "../core/errors.ts";
import type { Clock } from "../core/clock.ts";
import type { SessionId } from "../core/ids.ts";
import { continueSession, stepDown } from "../core/operations.ts";
import { PROTO, type WorkerRecord } from "../core/records.ts";
import { planRegistration } from "../core/registration.ts";
import { isMoving, openSession, type Session as SessionView } from "../core/session.ts";
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
  /** What names this worker for all its lives. */
  readonly base: string;
  /** Whose worker it is: the owner in `control.fleet`. */
  readonly fleet: string;
  readonly pod: string;
  readonly node: string;
  readonly capacity: number;
  /** H of ownership.md, in ms. */
  readonly renewMs: number;
  /** W of this worker's fence, in ms; absent where there is none. */
  readonly fenceMs?: number;
  readonly last: SessionMark;
  /** Resolves once nothing runs that an earlier life has started or asked for. Absent where there is no fence to see to it. */
  readonly freshDocker?: (signal: AbortSignal) => Promise<void>;
  /** Tells the fence of a session that goes on, whose bots run. Absent where there is no fence. */
  readonly keepRunning?: (session: SessionView) => void;
};

/** This process's entry in the books: opened here (O0), kept alive by a lifeline. */
export class Session {
  readonly sid: SessionId;
  readonly inc: number;
  /** As it was when it was opened; the opening counts as a renewal. */
  readonly view: SessionView;
  readonly #options: SessionOptions;

  private constructor(view: SessionView, options: SessionOptions) {
    this.sid = view.sid;
    this.inc = view.inc;
    this.view = view;
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
      if (plan.kind === "continue") {
        const { _id: sid, inc } = plan.record;
        // A session that our own state directory knows needs no watching: whoever had it held our lock.
        if (last.held?.sid !== sid || last.held.inc !== inc) await refuseLiving(plan.record);
        const sentAt = clock.mono();
        if ((await store.apply(continueSession(sid, inc))) === "missed") continue; // somebody else moved: look again
        const view = openSession(sid, inc + 1, sentAt);
        // Not only once the heartbeat has begun: a process that ends before that shall not take its bots along.
        options.keepRunning?.(view);
        bus.emit("session:opened", { sid, inc: inc + 1, continued: true });
        return new Session(view, options);
      }
      const { sid } = plan;
      await options.freshDocker?.(signal);
      const sentAt = clock.mono();
      if ((await store.insert("workers", recordOf(sid, options))) === "exists") continue;
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

  /** Says that this worker is on its way out, or has left. */
  async stepDown(to: "draining" | "gone"): Promise<void> {
    await this.#options.store.apply(stepDown(this.sid, this.inc, to));
  }
}

function recordOf(sid: SessionId, { capacity, pod, node, fleet, fenceMs, clock }: SessionOptions): WorkerRecord {
  const own = { capacity, pod, node, fleet, opened: clock.wall(), ...(fenceMs !== undefined && { fenceMs }) };
  return { _id: sid, inc: 1, hbSeq: 0, state: "up", proto: PROTO, ...own };
}
