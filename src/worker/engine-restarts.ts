import type { Clock, MonoMs } from "../core/clock.ts";
import {
  afterUnanswered,
  decideEngineRestart,
  type EngineView,
  type Need,
  type RestartEvidence,
  type Silence,
  trackNeeds,
} from "../core/engine-restart.ts";
import { EngineUnreachableError } from "../core/errors.ts";
import { tolerate } from "../process/retry.ts";
import { aborted } from "../process/until-aborted.ts";
import type { WorkerBus } from "./events.ts";
import type { Lifeline } from "./lifeline.ts";
import type { Engine, WorkerStore } from "./ports.ts";

/** From one ping to the next, in ms. */
const PING_EVERY_MS = 5_000;
/** The same for a minute after a restart: bots wait for the first answer. */
const PING_SOON_MS = 500;
const SOON_FOR_MS = 60_000;

export type EngineRestartsOptions = {
  readonly engine: Pick<Engine, "ping">;
  readonly lifeline: Pick<Lifeline, "sid" | "right" | "restartEngine">;
  readonly store: Pick<WorkerStore, "ownedSegments">;
  readonly clock: Clock;
  readonly bus: WorkerBus;
  /** What ownership waits for at this moment. */
  readonly needs: () => readonly Need[];
  /** The Engine answers again after it had not. */
  readonly onBack: () => void;
};

/** Has a hung Docker Engine restarted, where a fence can do it and ownership cannot wait. Everything behind the fence dies
 *  with it, which is what makes it safe: session and epochs stay, and the next look finds what is to be started again. */
export class EngineRestarts {
  readonly #options: EngineRestartsOptions;
  #silence: Silence | undefined;
  #waiting: EngineView["waiting"] = [];
  #restartedAt: MonoMs | undefined;

  constructor(options: EngineRestartsOptions) {
    this.#options = options;
  }

  /** Pings until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, lifeline, bus } = this.#options;
    if (lifeline.restartEngine === undefined) return aborted(signal);
    while (!signal.aborted) {
      const sentAt = clock.mono();
      await this.#ping(sentAt);
      await tolerate(
        () => this.#judge(),
        (error) => bus.emit("round:failed", { loop: "engine", error }),
      );
      const everyMs = this.#isComingUp(sentAt) ? PING_SOON_MS : PING_EVERY_MS;
      await clock.sleep(Math.max(0, sentAt + everyMs - clock.mono()), signal).catch(() => {});
    }
  }

  async #ping(sentAt: MonoMs): Promise<void> {
    const { clock, engine, onBack } = this.#options;
    try {
      await engine.ping();
    } catch (error) {
      if (error instanceof EngineUnreachableError) {
        this.#silence = afterUnanswered(this.#silence, sentAt, clock.mono());
        return;
      } // a refusal is an answer
    }
    if (this.#silence !== undefined) onBack();
    this.#silence = undefined;
  }

  #isComingUp(now: MonoMs): boolean {
    return this.#silence !== undefined && this.#restartedAt !== undefined && now - this.#restartedAt < SOON_FOR_MS;
  }

  async #judge(): Promise<void> {
    const { clock, lifeline, bus, needs } = this.#options;
    const now = clock.mono();
    this.#waiting = this.#silence === undefined ? [] : trackNeeds(this.#waiting, needs(), now);
    const evidence = decideEngineRestart({ silence: this.#silence, waiting: this.#waiting, restartedAt: this.#restartedAt }, now);
    if (evidence === undefined || !(await this.#stands(evidence))) return;
    this.#restartedAt = now;
    bus.emit("engine:restarting", evidence);
    lifeline.restartEngine?.();
  }

  /** Asks the store once more, for bots die by this: whether the segment is ours under that epoch. And not without the full
   *  right to start bots, for nothing could be brought back.
   *  @throws {StoreUnreachableError} */
  async #stands({ need: { segment, epoch } }: RestartEvidence): Promise<boolean> {
    const { lifeline, store } = this.#options;
    const records = await store.ownedSegments(lifeline.sid, [segment]);
    const isOurs = records.some((r) => r._id === segment && r.owner === lifeline.sid && r.epoch === epoch);
    return isOurs && lifeline.right() === "start";
  }
}
