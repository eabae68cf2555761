import type { Operation, Outcome } from "../../src/core/operations.ts";
import type { StoreName } from "./network.ts";
import type { Pod } from "./pod.ts";
import type { World } from "./world.ts";

/** One place for a process of a pod: it begins, is stopped and goes on, ends, and another follows. Whatever was asked for
 *  by an earlier process finds nobody, and what comes to a stopped one waits until it goes on. */
export class SimProcess {
  readonly world: World;
  readonly pod: Pod;
  isPaused = false;
  #life = 0;
  #backlog: (() => void)[] = [];

  constructor(world: World, pod: Pod) {
    this.world = world;
    this.pod = pod;
  }

  protected begin(): void {
    this.#life += 1;
    this.#backlog = [];
    this.isPaused = false;
    this.world.say(this.pod, "process starts");
  }

  protected end(): void {
    this.#life += 1;
    this.world.say(this.pod, "process ends");
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    const backlog = this.#backlog;
    this.#backlog = [];
    for (const act of backlog) act();
  }

  /** What `act` does is done by this process, when it runs, or never. */
  mine<A extends unknown[]>(act: (...args: A) => void): (...args: A) => void {
    const life = this.#life;
    const run = (...args: A): void => {
      if (this.#life !== life || this.pod.isLost) return;
      if (this.isPaused) this.#backlog.push(() => run(...args));
      else act(...args);
    };
    return run;
  }

  after(ms: number, act: () => void): void {
    this.world.scheduler.after(this.pod.realMs(ms), this.mine(act));
  }

  every(ms: number, act: () => void): void {
    const round = (): void => {
      act();
      this.after(ms, round);
    };
    this.after(this.world.chance.between(0, ms), round);
  }

  /** What did not come about is tried again a little later. */
  retry(act: () => void): void {
    this.after(this.world.chance.between(200, 1_000), act);
  }

  ask<T>(to: StoreName, act: () => T, done: (reply: T | undefined) => void, kind: "read" | "write" = "read"): void {
    this.world.network.call(this.pod, to, kind, this.world.timings.callMs, act, this.mine(done));
  }

  apply(operation: Operation, done: (outcome: Outcome | undefined) => void): void {
    this.ask("mongo", () => this.world.mongo.apply(operation), done, "write");
  }
}
