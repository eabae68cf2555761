import type { MonoMs } from "../../src/core/clock.ts";
import type { Actual, Container } from "../../src/core/containers.ts";
import { FENCE_POLL_MS, type FenceFile, isLapsed } from "../../src/core/fence.ts";
import type { BotId, ContainerId, Epoch, SegmentId, SessionId } from "../../src/core/ids.ts";
import { aContainer, anExit, hash } from "../support/builders.ts";
import type { StoreName } from "./network.ts";
import type { World } from "./world.ts";

export type Labels = { readonly bot: BotId; readonly segment: SegmentId; readonly epoch: Epoch; readonly sid: SessionId };
type Answer<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly why: "conflict" | "gone" | "unknown" };

/** How long a stop may take beyond the grace, and every other call, before the worker gives up waiting, in ms. */
const CALL_LIMIT_MS = 10_000;
const STOP_SPARE_MS = 5_000;

/** One pod: a kernel's clock, a dockerd with its containers, the fence around them. What is here survives its worker process. */
export class Pod {
  readonly uid: string;
  readonly world: World;
  /** How fast its clock goes, 1 being true. */
  readonly rate: number;
  readonly #offset: number;
  readonly cut: Record<StoreName, boolean> = { mongo: false, kube: false };
  /** The release record in the pod's tmpfs, for each life of the database. */
  readonly #released = new Map<string, Map<SegmentId, Epoch>>();
  readonly containers = new Map<BotId, Container>();
  isLost = false;
  isDockerUp = false;
  /** Until when dockerd answers nobody, in the world's time. */
  hungUntil = 0;
  fenceFrozenUntil = 0;
  /** Added to what the fence reads of the clock: lxcfs has set it back. */
  fenceSkewMs = 0;
  #file: FenceFile | undefined;
  #poll = 0;
  #lastFenceNow = 0;
  /** Which dockerd it is; calls of an earlier one are gone with it. */
  #life = 0;
  #made = 0;

  constructor(world: World, uid: string, rate: number, offset: number) {
    this.world = world;
    this.uid = uid;
    this.rate = rate;
    this.#offset = offset;
  }

  mono(): MonoMs {
    return (this.world.scheduler.now * this.rate + this.#offset) as MonoMs;
  }

  /** A duration of this pod's clock, in the world's ms. */
  realMs(ms: number): number {
    return ms / this.rate;
  }

  releasedIn(life: string): Map<SegmentId, Epoch> {
    const released = this.#released.get(life) ?? new Map<SegmentId, Epoch>();
    this.#released.set(life, released);
    return released;
  }

  writeFence(deadline: MonoMs): void {
    this.#file = { deadline, reading: this.mono(), bootId: this.uid };
    // While dockerd runs, the poll that waits for the old deadline finds the new one.
    if (!this.isDockerUp || deadline <= this.mono()) this.lookAtFence();
  }

  /** The fence polls within its interval; only polls that can change something are played. */
  lookAtFence(): void {
    this.#pollIn(this.world.chance.between(0, FENCE_POLL_MS));
  }

  #pollIn(ms: number): void {
    const poll = ++this.#poll;
    this.world.scheduler.after(this.realMs(ms), () => {
      if (poll === this.#poll && !this.isLost) this.#fencePoll();
    });
  }

  #fencePoll(): void {
    const { scheduler, chance, timings } = this.world;
    if (scheduler.now < this.fenceFrozenUntil) return this.#pollIn((this.fenceFrozenUntil - scheduler.now) * this.rate);
    const now = (this.mono() + this.fenceSkewMs) as MonoMs;
    const lapsed = isLapsed(this.#file, { now, lastNow: this.#lastFenceNow as MonoMs, bootId: this.uid });
    this.#lastFenceNow = now;
    if (lapsed) {
      if (!this.isDockerUp) this.#life += 1; // one that is only coming up is ended, too
      const life = this.#life;
      // K, less the poll that has just been waited for.
      if (this.isDockerUp)
        scheduler.after(this.realMs(chance.between(50, timings.killMs - FENCE_POLL_MS)), () => {
          if (life === this.#life) this.killDocker("the fence");
        });
      return;
    }
    if (!this.isDockerUp) this.#startDocker();
    this.#pollIn(Math.max(0, (this.#file?.deadline ?? now) - now) + chance.between(0, FENCE_POLL_MS));
  }

  #startDocker(): void {
    const life = this.#life;
    this.world.scheduler.after(this.world.chance.between(300, 1_500), () => {
      if (this.isLost || this.#life !== life || this.isDockerUp) return;
      this.isDockerUp = true;
      this.hungUntil = 0;
      this.world.say(this, "dockerd is up");
    });
  }

  /** dockerd and all its containers die at once, and with it every call that it had in hand. */
  killDocker(by: string): void {
    this.isDockerUp = false;
    this.#life += 1;
    this.world.say(this, `dockerd and its bots are killed by ${by}`);
    for (const container of this.containers.values()) if (container.state === "running") this.end(container, 137);
    this.lookAtFence();
  }

  end(container: Container, code: number): void {
    const now = this.containers.get(container.bot);
    if (now?.id !== container.id || now.state !== "running") return;
    this.containers.set(container.bot, { ...now, state: "exited", exit: anExit({ code }) });
    this.world.checker.ended(this, now);
  }

  /** The machine is gone, with all that ran on it or was under way there. */
  lose(): void {
    this.isLost = true;
    this.isDockerUp = false;
    this.#life += 1;
    this.world.checker.lost(this);
  }

  // What the worker may ask of dockerd.

  list(done: (answer: Answer<readonly Container[]>) => void): void {
    this.#call([2, 20], CALL_LIMIT_MS, () => ({ ok: true, value: [...this.containers.values()] }), done);
  }

  inspect(bot: BotId, done: (answer: Answer<Actual>) => void): void {
    const act = (): Answer<Actual> => {
      const container = this.containers.get(bot);
      return { ok: true, value: container === undefined ? { kind: "none" } : { kind: "ours", container } };
    };
    this.#call([1, 10], CALL_LIMIT_MS, act, done);
  }

  create(labels: Labels, done: (answer: Answer<ContainerId>) => void): void {
    const act = (): Answer<ContainerId> => {
      if (this.containers.has(labels.bot)) return { ok: false, why: "conflict" };
      const id = `${this.uid}#${++this.#made}` as ContainerId;
      this.containers.set(labels.bot, aContainer({ ...labels, id, spec: hash(), state: "created", graceSeconds: 1 }));
      return { ok: true, value: id };
    };
    this.#call([20, 150], CALL_LIMIT_MS, act, done);
  }

  start(id: ContainerId, done: (answer: Answer<true>) => void): void {
    const act = (): Answer<true> => {
      const container = this.#byId(id);
      if (container === undefined) return { ok: false, why: "gone" };
      if (container.state !== "running") {
        const running: Container = { ...container, state: "running" };
        this.containers.set(container.bot, running);
        this.world.checker.started(this, running);
      }
      return { ok: true, value: true };
    };
    this.#call([50, 300], CALL_LIMIT_MS, act, done);
  }

  stop(container: Container, graceSeconds: number, done: (answer: Answer<true>) => void): void {
    const { chance, scheduler, checker, slowStops } = this.world;
    checker.stopping(this, container);
    const graceMs = graceSeconds * 1_000;
    const life = this.#life;
    const act = (answer: (a: Answer<true>) => void): void => {
      const takesMs = graceSeconds === 0 ? 20 : slowStops ? chance.between(graceMs, graceMs + 2_000) : chance.between(20, 300);
      scheduler.after(takesMs, () => {
        if (this.#life !== life) return;
        const now = this.#byId(container.id);
        if (now !== undefined) this.end(now, 143);
        answer({ ok: true, value: true });
      });
    };
    this.#callAsync([5, 30], graceMs + STOP_SPARE_MS, act, done);
  }

  remove(container: Container, done: (answer: Answer<true>) => void): void {
    const act = (): Answer<true> => {
      const now = this.#byId(container.id);
      if (now?.state === "running") {
        // A start that its worker had given up has landed just before: whoever removes a container that was only made, means it.
        if (container.state !== "created") this.world.checker.stopping(this, now);
        this.end(now, 137);
      }
      if (now !== undefined) this.containers.delete(now.bot);
      return { ok: true, value: true };
    };
    this.#call([10, 60], CALL_LIMIT_MS, act, done);
  }

  #byId(id: ContainerId): Container | undefined {
    for (const container of this.containers.values()) if (container.id === id) return container;
    return undefined;
  }

  #call<T>(takes: readonly [number, number], limitMs: number, act: () => Answer<T>, done: (answer: Answer<T>) => void): void {
    this.#callAsync(takes, limitMs, (answer) => answer(act()), done);
  }

  /** A call that dockerd has in hand lands as soon as it answers again, whether or not anybody still waits for it. */
  #callAsync<T>(
    [least, most]: readonly [number, number],
    limitMs: number,
    act: (answer: (a: Answer<T>) => void) => void,
    done: (answer: Answer<T>) => void,
  ): void {
    const { scheduler, chance, dockerTrouble } = this.world;
    let isOver = false;
    const finish = (answer: Answer<T>): void => {
      if (isOver) return;
      isOver = true;
      done(answer);
    };
    if (!this.isDockerUp || this.isLost) return scheduler.after(1, () => finish({ ok: false, why: "unknown" }));
    const life = this.#life;
    const slow = dockerTrouble.slowMs > 0 && chance.is(0.3) ? chance.between(0, dockerTrouble.slowMs) : 0;
    const land = (): void => {
      if (this.#life !== life) return finish({ ok: false, why: "unknown" });
      if (scheduler.now < this.hungUntil) return scheduler.at(this.hungUntil + chance.between(1, 50), land);
      act((answer) => {
        if (!chance.is(dockerTrouble.replyLossRate)) finish(answer);
      });
    };
    scheduler.after(chance.between(least, most) + slow, land);
    scheduler.after(this.realMs(limitMs), () => finish({ ok: false, why: "unknown" }));
  }
}
