import type { Clock } from "../core/clock.ts";
import { SessionLostError } from "../core/errors.ts";
import type { SessionId } from "../core/ids.ts";
import type { Right, Session as SessionView } from "../core/session.ts";
import type { Timings } from "../core/timings.ts";
import type { WorkerBus } from "./events.ts";
import type { Lifeline } from "./lifeline.ts";
import { Renewer, type Renewals } from "./renewer.ts";
import type { Session } from "./session.ts";

export type SoloOptions = {
  readonly store: Renewals;
  readonly clock: Clock;
  readonly timings: Pick<Timings, "renewMs">;
  readonly bus: WorkerBus;
};

/** The life-line of a process that is alone (COORDINATION=single): no fence and no lease, so bots outlive MongoDB, and all
 *  that a renewal can tell is that somebody has ended or replaced the session. */
export class SoloLifeline implements Lifeline {
  readonly sid: SessionId;
  readonly inc: number;
  isDrainAsked = false;
  /** There is nobody else who could be given anything. */
  isDegraded = false;
  readonly #session: Session;
  readonly #options: SoloOptions;
  #view: SessionView;
  #isDraining = false;
  #hasLeft = false;

  constructor(session: Session, options: SoloOptions) {
    this.sid = session.sid;
    this.inc = session.inc;
    this.#session = session;
    this.#view = session.view;
    this.#options = options;
  }

  right(): Right {
    return this.#view.lost === undefined ? "start" : "stop";
  }

  /** A lost life shows in the next renewal, and a process that is alone need not hear of it sooner. */
  sawLife(): void {}

  stepDown(to: "draining" | "gone"): Promise<void> {
    this.#isDraining = true;
    this.#hasLeft ||= to === "gone";
    return this.#session.stepDown(to);
  }

  async run(signal: AbortSignal, isAlive: () => boolean): Promise<void> {
    const { bus } = this.#options;
    const renewer = new Renewer({
      ...this.#options,
      session: () => this.#view,
      isDraining: () => this.#isDraining,
      mayRenew: isAlive,
      onTried: ({ change, isDrainAsked, error }) => {
        const view = change(this.#view);
        if (this.#hasLeft && view.lost === "ended") return; // by ourselves: a renewal only came after our last word
        this.#view = view;
        this.isDrainAsked = isDrainAsked;
        if (error !== undefined) bus.emit("round:failed", { loop: "heartbeat", error });
        else if (this.#view.lost === undefined) bus.emit("session:renewed", { store: "mongodb" });
      },
    });
    await renewer.run(signal);
    if (this.#view.lost !== undefined) throw new SessionLostError(this.#view.lost);
  }
}
