import type { Worker as Thread } from "node:worker_threads";
import type { Clock } from "../core/clock.ts";
import { SessionLostError } from "../core/errors.ts";
import type { SessionId } from "../core/ids.ts";
import { afterLife, fenceDeadline, type Right, rightOf, type Session as SessionView } from "../core/session.ts";
import type { Timings } from "../core/timings.ts";
import type { WorkerBus } from "./events.ts";
import type { FromHeartbeat, Pulse, ToHeartbeat } from "./heartbeat.ts";
import type { Lifeline } from "./lifeline.ts";
import type { Session } from "./session.ts";

/** How often this thread says that its event loop still comes round, in ms. */
const TICK_MS = 1_000;

export type LeasedOptions = {
  readonly clock: Clock;
  readonly timings: Timings;
  readonly bus: WorkerBus;
  /** Which life of the database the session belongs to. */
  readonly incarnation: string;
  /** Starts the thread that renews. It must not outlive this process, and renews nothing once it was ended. */
  readonly begin: (session: SessionView) => { readonly thread: Thread; readonly pulse: Pulse };
};

/** The life-line of one of several workers: a lease that is renewed from a thread of its own, so that a busy main loop does
 *  not lose it, and by which bots may run here until it lapses. What is known of it here may be old, and is then on the
 *  safe side: a renewal that we have not heard of only gives more time. */
export class LeasedLifeline implements Lifeline {
  readonly sid: SessionId;
  readonly inc: number;
  isDrainAsked = false;
  readonly #session: Session;
  readonly #options: LeasedOptions;
  readonly #lost = Promise.withResolvers<never>();
  readonly #thread: Thread;
  readonly #pulse: Pulse;
  #view: SessionView;
  #hasLeft = false;

  constructor(session: Session, options: LeasedOptions) {
    this.sid = session.sid;
    this.inc = session.inc;
    this.#session = session;
    this.#view = session.view;
    this.#options = options;
    this.#lost.promise.catch(() => {}); // told to whoever runs it
    ({ thread: this.#thread, pulse: this.#pulse } = options.begin(session.view));
    this.#pulse.beat(options.clock.mono());
    this.#thread.on("message", (message: FromHeartbeat) => this.#hear(message));
    this.#thread.on("error", (error) => this.#lost.reject(error));
    this.#thread.on("exit", () => this.#lost.reject(new Error("Cannot go on: the heartbeat thread has ended")));
  }

  /** The session as this thread knows it. */
  get view(): SessionView {
    return this.#view;
  }

  right(): Right {
    return rightOf(this.#view, this.#options.clock.mono(), this.#options.timings);
  }

  /** How long bots may still run without a renewal, in ms; 0 when they may not. */
  remainingMs(): number {
    const deadline = fenceDeadline(this.#view, this.#options.timings);
    return deadline === undefined ? 0 : Math.max(0, deadline - this.#options.clock.mono());
  }

  set isDegraded(is: boolean) {
    this.#pulse.isDegraded = is;
  }

  sawLife(incarnation: string | undefined): void {
    this.#take(afterLife(this.#view, this.#options.incarnation, incarnation));
  }

  restartEngine(): void {
    this.#say({ kind: "restart-engine" });
  }

  async stepDown(to: "draining" | "gone"): Promise<void> {
    this.#say({ kind: "drain" });
    this.#hasLeft ||= to === "gone";
    await this.#session.stepDown(to);
  }

  async run(signal: AbortSignal, isAlive: () => boolean): Promise<void> {
    try {
      await Promise.race([this.#lost.promise, this.#tick(signal, isAlive)]);
    } finally {
      await this.end();
    }
  }

  /** From here on nothing is renewed. */
  async end(): Promise<void> {
    await this.#thread.terminate();
  }

  async #tick(signal: AbortSignal, isAlive: () => boolean): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      if (isAlive()) this.#pulse.beat(clock.mono());
      await clock.sleep(TICK_MS, signal).catch(() => {});
    }
  }

  #hear({ session, isDrainAsked, tried, restartMs }: FromHeartbeat): void {
    const { bus } = this.#options;
    this.isDrainAsked = isDrainAsked;
    if (restartMs !== undefined) bus.emit("engine:restarted", { tookMs: restartMs });
    if (this.#hasLeft && session.lost === "ended") return; // by ourselves: a renewal only came after our last word
    if (tried?.reason !== undefined) bus.emit("session:unrenewed", { store: tried.store, reason: tried.reason });
    else if (tried !== undefined && session.lost === undefined) bus.emit("session:renewed", { store: tried.store });
    if (this.#view.lost === undefined) this.#take(session);
  }

  #take(view: SessionView): void {
    this.#view = view;
    if (view.lost !== undefined) this.#lost.reject(new SessionLostError(view.lost));
  }

  #say(message: ToHeartbeat): void {
    this.#thread.postMessage(message);
  }
}
