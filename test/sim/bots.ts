import { type Desired, planBot } from "../../src/core/containers.ts";
import type { BotId, ContainerId, Epoch } from "../../src/core/ids.ts";
import { deactivate, reportStatus } from "../../src/core/operations.ts";
import { afterAdoption, afterExit, afterStart, type BotMemory, FRESH } from "../../src/core/restart.ts";
import { rightOf } from "../../src/core/session.ts";
import { fields } from "../contract/operation-cases.ts";
import { aSpec, hash } from "../support/builders.ts";
import type { Labels } from "./pod.ts";
import type { SimWorker } from "./worker.ts";

/** A visit that met a fault is tried again within so much. */
const RETRY_MS = 1_000;
const MAX_ACTS = 12;
const STRANGER: Desired = { want: "stop", why: "not-mine" };
const STATUS = fields();
const SPEC = aSpec();

type Answered = (answer: { readonly ok: boolean; readonly why?: string }) => void;

/** Visits of one process to its bots: look, take one step of `planBot`, look again. */
export class SimBots {
  readonly #worker: SimWorker;
  readonly #memory = new Map<BotId, BotMemory>();
  readonly #visiting = new Set<BotId>();
  readonly #again = new Set<BotId>();
  /** The last call for them has no known outcome. */
  readonly #doubtful = new Set<BotId>();

  constructor(worker: SimWorker) {
    this.#worker = worker;
  }

  busy(): BotId[] {
    return [...this.#visiting, ...this.#doubtful];
  }

  visit(bot: BotId): void {
    if (this.#worker.phase !== "up") return;
    if (this.#visiting.has(bot)) {
      this.#again.add(bot);
      return;
    }
    this.#visiting.add(bot);
    this.#step(bot, 0);
  }

  /** O6. */
  report(bot: BotId, epoch: Epoch): void {
    const { session } = this.#worker;
    if (session !== undefined) this.#worker.apply(reportStatus(bot, epoch, session.sid, STATUS), () => {});
  }

  #leave(bot: BotId, retryMs?: number): void {
    this.#visiting.delete(bot);
    if (this.#again.delete(bot)) this.visit(bot);
    else if (retryMs !== undefined) this.#worker.after(retryMs, () => this.visit(bot));
  }

  #fail(bot: BotId): void {
    this.#doubtful.add(bot);
    this.#leave(bot, this.#worker.world.chance.between(RETRY_MS / 4, RETRY_MS));
  }

  #desired(bot: BotId): Desired | undefined {
    const { session, holdings, lifeline, world } = this.#worker;
    const segment = holdings?.placements.get(bot);
    const tenure = segment === undefined ? undefined : holdings?.tenures.get(segment);
    if (segment === undefined || tenure === undefined || session === undefined) return undefined;
    if (tenure.state === "leaving") return { want: "stop", why: "released" };
    if (lifeline?.mayRun !== true) return { want: "stop", why: "draining" };
    if (world.checker.isDisabled(bot)) return { want: "stop", why: "disabled" };
    return { want: "run", spec: SPEC, hash: hash(), segment, epoch: tenure.epoch, sid: session.sid };
  }

  #step(bot: BotId, acts: number): void {
    const worker = this.#worker;
    const { pod } = worker;
    if (worker.phase !== "up" || acts > MAX_ACTS) return this.#leave(bot, RETRY_MS);
    const next = worker.mine<Parameters<Answered>>((answer) => {
      if (answer.ok || answer.why === "conflict" || answer.why === "gone") this.#step(bot, acts + 1);
      else this.#fail(bot);
    });
    pod.inspect(
      bot,
      worker.mine((seen) => {
        if (!seen.ok) return this.#fail(bot);
        const desired = this.#desired(bot);
        if (desired === undefined && (worker.holdings?.isComplete !== true || worker.holdings.isStoreAway)) return this.#done(bot, desired);
        const past = this.#memory.get(bot) ?? FRESH;
        const step = planBot(desired ?? STRANGER, seen.value, past, pod.mono());
        switch (step?.kind) {
          case undefined:
            return this.#done(bot, desired);
          case "wait":
            this.#doubtful.delete(bot);
            return this.#leave(bot, step.until === undefined ? undefined : Math.max(1, step.until - pod.mono()));
          case "start":
            return this.#start(bot, desired, next);
          case "adopt":
            this.#memory.set(bot, afterAdoption(past, step.container.spec, step.container.id, pod.mono()));
            return next({ ok: true });
          case "stop":
            this.#memory.set(bot, { ...past, stopping: step.why });
            this.report(bot, step.container.epoch);
            return pod.stop(step.container, step.graceSeconds, next);
          case "reap": {
            const { exit } = step.container;
            // What the fence or a dying dockerd took down is no crash of the bot's own.
            const isCrash = exit !== undefined && exit.code !== 137 && desired?.want === "run";
            if (isCrash) this.#memory.set(bot, afterExit(past, "always", exit, pod.mono(), worker.world.chance.next).memory);
            else this.#memory.delete(bot);
            return pod.remove(step.container, next);
          }
          case "remove":
            return pod.remove(step.container, next);
        }
      }),
    );
  }

  /** The image has to come, and a slot has to be free: what was decided before that need not hold after it. */
  #start(bot: BotId, desired: Desired | undefined, next: Answered): void {
    const worker = this.#worker;
    const { chance, dockerTrouble, checker } = worker.world;
    if (desired?.want !== "run" || !this.#mayStart(desired)) return this.#leave(bot, RETRY_MS);
    const { segment, epoch, sid } = desired;
    const labels: Labels = { bot, segment, epoch, sid };
    const waitMs = chance.is(0.1) ? 2_000 + dockerTrouble.slowMs / 2 : 100;
    worker.after(chance.between(0, waitMs), () => {
      if (!this.#mayStart(labels)) return this.#leave(bot, RETRY_MS);
      checker.starting(worker, segment, epoch);
      worker.pod.create(
        labels,
        worker.mine((made) => (made.ok ? this.#startMade(labels, made.value, next) : next(made))),
      );
    });
  }

  #startMade({ bot, epoch }: Labels, made: ContainerId, next: Answered): void {
    const worker = this.#worker;
    worker.pod.start(
      made,
      worker.mine((begun) => {
        if (begun.ok) {
          this.#memory.set(bot, afterStart(this.#memory.get(bot) ?? FRESH, hash(), made, worker.pod.mono()));
          this.report(bot, epoch);
        }
        // Whether it may still run is what the next look decides, by what is ours then.
        next(begun);
      }),
    );
  }

  #mayStart({ segment, epoch }: Pick<Labels, "segment" | "epoch">): boolean {
    const { session, holdings, isDraining, isGivingUp, pod, world } = this.#worker;
    if (session === undefined || isDraining || isGivingUp || rightOf(session, pod.mono(), world.timings) !== "start") return false;
    return holdings?.mayStart(segment, epoch) === true;
  }

  #done(bot: BotId, desired: Desired | undefined): void {
    this.#doubtful.delete(bot);
    const segment = this.#worker.holdings?.placements.get(bot);
    if (desired?.want === "stop" && desired.why === "disabled" && segment !== undefined)
      this.#worker.apply(deactivate(bot, segment, null), () => {});
    this.#leave(bot);
  }
}
