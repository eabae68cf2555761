import type { Chance } from "./chance.ts";
import type { Pod } from "./pod.ts";
import type { Scheduler } from "./scheduler.ts";

export type StoreName = "mongo" | "kube";

/** What is wrong with the ways to the stores at the moment. */
export type Trouble = {
  /** Store is away for all, or refuses writes. */
  readonly down: Record<StoreName, boolean>;
  readOnly: boolean;
  /** Share of requests that never arrive, of replies that never do, and of requests that arrive long after. */
  lossRate: number;
  replyLossRate: number;
  lateRate: number;
  /** Added to each way, up to so many ms. */
  slowMs: number;
};

/** A late request lands up to so much after it was sent, in ms. */
const LATE_MS = 15_000;

/** Carries calls between pods and stores. A call that gets no answer in time is told so, and may have landed or land yet. */
export class Network {
  readonly trouble: Trouble = {
    down: { mongo: false, kube: false },
    readOnly: false,
    lossRate: 0,
    replyLossRate: 0,
    lateRate: 0,
    slowMs: 0,
  };
  readonly #scheduler: Scheduler;
  readonly #chance: Chance;

  constructor(scheduler: Scheduler, chance: Chance) {
    this.#scheduler = scheduler;
    this.#chance = chance;
  }

  canReach(from: Pod, to: StoreName): boolean {
    return !this.trouble.down[to] && !from.cut[to];
  }

  /** `done` gets the answer, or nothing after `limitMs` of the pod's own clock. */
  call<T>(from: Pod, to: StoreName, kind: "read" | "write", limitMs: number, act: () => T, done: (reply: T | undefined) => void): void {
    const { trouble } = this;
    const scheduler = this.#scheduler;
    const chance = this.#chance;
    const limit = scheduler.now + from.realMs(limitMs);
    const unknown = (): void => scheduler.at(limit, () => done(undefined));
    if (!this.canReach(from, to) || chance.is(trouble.lossRate)) return unknown();
    if (kind === "write" && chance.is(trouble.lateRate)) {
      // A request that is held up behind a partition is not stopped by it, and nobody waits for it any more.
      scheduler.after(limitMs + chance.between(0, LATE_MS), () => {
        if (this.#takes(to, kind)) act();
      });
      return unknown();
    }
    scheduler.after(this.#wayMs(), () => {
      if (!this.canReach(from, to) || !this.#takes(to, kind)) return unknown();
      const reply = act();
      const back = scheduler.now + this.#wayMs();
      if (back >= limit || chance.is(trouble.replyLossRate)) return unknown();
      scheduler.at(back, () => (this.canReach(from, to) ? done(reply) : unknown()));
    });
  }

  #takes(to: StoreName, kind: "read" | "write"): boolean {
    return !this.trouble.down[to] && !(this.trouble.readOnly && kind === "write" && to === "mongo");
  }

  #wayMs(): number {
    const { slowMs } = this.trouble;
    return this.#chance.between(1, 4) + (slowMs > 0 && this.#chance.is(0.3) ? this.#chance.between(0, slowMs) : 0);
  }
}
