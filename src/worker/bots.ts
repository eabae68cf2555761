import { retryDelayMs } from "../core/backoff.ts";
import { after } from "../core/clock.ts";
import { type ContainerStep, planBot, type Desired } from "../core/containers.ts";
import type { BotId, SegmentId, SpecHash } from "../core/ids.ts";
import { activate, deactivate, forgetPlacement, forgetStatus } from "../core/operations.ts";
import type { StatusRecord } from "../core/records.ts";
import { type BotMemory, FRESH, whileNameHeld } from "../core/restart.ts";
import { isPassing } from "../process/retry.ts";
import type { Want } from "./desired.ts";
import { ImageWaits } from "./image-waits.ts";
import { KeyedQueue } from "./keyed-queue.ts";
import { executors, type StepContext } from "./steps.ts";
import { TakeOver } from "./take-over.ts";

/** What nobody wants here: a container under our label that belongs to no bot of ours. */
export const STRANGER: Desired = { want: "stop", why: "not-mine" };

/** A visit goes on while it makes progress; this many acts without an end mean that somebody works against us. */
const MAX_ACTS = 12;

/** Brings one bot at a time from what is to what should be. One queue per bot: whoever wants something of a bot asks
 *  for a visit, and each visit starts from the Engine's own truth. A fault in one bot's visit touches that bot only. */
export class Bots {
  readonly #context: StepContext;
  readonly #queue: KeyedQueue<BotId>;
  readonly #faults = new Map<BotId, number>();
  /** Bots that ran when they were looked at last. */
  readonly #up = new Set<BotId>();

  constructor(context: Omit<StepContext, "memory" | "takeOver" | "imageWaits">) {
    const { clock, random } = context;
    const takeOver = new TakeOver({ clock, random, request: (bot, at) => this.#queue.request(bot, at) });
    this.#context = { ...context, takeOver, memory: new Map<BotId, BotMemory>(), imageWaits: new ImageWaits() };
    this.#queue = new KeyedQueue(clock, (bot, looking, signal) => this.#visit(bot, looking, signal));
  }

  get memory(): ReadonlyMap<BotId, BotMemory> {
    return this.#context.memory;
  }

  request(bots: Iterable<BotId>): void {
    for (const bot of bots) {
      this.#queue.request(bot);
      this.#context.imageWaits.look(bot);
    }
  }

  /** These bots became ours: what runs of them is adopted before anything is started. Visits are still to be asked for. */
  takeOver(bots: { readonly running: Iterable<BotId>; readonly starting: Iterable<BotId> }): void {
    this.#context.takeOver.begin(bots);
  }

  /** Bots for which a call may be in hand: a visit is under way, or the last one ended in a fault, and what it asked for
   *  may still land. Until a visit ends well no list can tell how such a bot stands. */
  *busy(): Generator<BotId> {
    yield* this.#queue.visiting();
    yield* this.#faults.keys();
  }

  /** Bots that should run, do not as far as anybody knows, and have a visit that does not come to its end. */
  unstarted(): readonly Want[] {
    const waiting = [...new Set(this.busy())].filter((bot) => !this.#up.has(bot));
    return waiting.flatMap((bot) => {
      const want = this.#context.desired.get(bot);
      return want?.desired.want === "run" ? [want] : [];
    });
  }

  /** Takes over what the last owner, or this process before a restart, reported: counts of crashes and ends. A bot
   *  that was stopped on purpose starts afresh: who enables it again does not want its old back-off. */
  remember(statuses: readonly StatusRecord[]): void {
    for (const status of statuses) {
      if (typeof status._id !== "string" || this.#context.memory.has(status._id) || status.spec === null) continue;
      if (status.state === "stopped" || status.state === "invalid") continue;
      const done = status.state === "completed" || status.state === "failed" ? { done: status.state } : {};
      this.#context.memory.set(status._id, { spec: status.spec, attempt: status.attempt, restarts: status.restarts, ...done });
    }
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#queue.run(signal);
  }

  async #visit(bot: BotId, looking: () => void, signal: AbortSignal): Promise<void> {
    const { bus, clock, random, takeOver } = this.#context;
    try {
      await this.#reconcile(bot, looking, signal);
      this.#faults.delete(bot);
    } catch (error) {
      if (signal.aborted) return;
      const attempt = this.#faults.get(bot) ?? 0;
      this.#faults.set(bot, attempt + 1);
      const retryMs = retryDelayMs(attempt, random);
      bus.emit("bot:visit-failed", { bot, retryMs, expected: isPassing(error), error });
      this.#queue.request(bot, after(clock.mono(), retryMs));
    } finally {
      takeOver.looked(bot);
    }
  }

  async #reconcile(bot: BotId, looking: () => void, signal: AbortSignal): Promise<void> {
    const { engine, desired, memory, clock, maySweep, takeOver } = this.#context;
    for (let acts = 0; acts < MAX_ACTS; acts++) {
      looking();
      const actual = await engine.inspect(bot);
      if (actual.kind === "ours" && actual.container.state === "running") this.#up.add(bot);
      else this.#up.delete(bot);
      const want = desired.get(bot);
      if (want === undefined && actual.kind === "ours") {
        if (!desired.isKnown(actual.container.segment)) return; // its segment is still being read
        if (!maySweep()) return; // the next list after the store is back comes here again
      }
      const step = planBot(want?.desired ?? STRANGER, actual, memory.get(bot) ?? FRESH, clock.mono());
      if (step?.kind !== "adopt") takeOver.looked(bot); // nobody's start waits for a stop and its grace
      if (step === undefined) return this.#settle(bot, want);
      if (step.kind === "wait") return this.#wait(bot, want, step);
      const goOn = await executors[step.kind](step as never, bot, want, this.#context, signal);
      if (step.kind === "stop" || step.kind === "remove") this.#up.delete(bot);
      if (!goOn) return;
    }
    this.#queue.request(bot, after(clock.mono(), 1_000));
  }

  #wait(bot: BotId, want: Want | undefined, { why, until }: Extract<ContainerStep, { kind: "wait" }>): void {
    const { memory, clock, bus, reports } = this.#context;
    const past = memory.get(bot) ?? FRESH;
    let next = past;
    if (why === "removing" || why === "name-taken") {
      next = whileNameHeld(past, clock.mono());
      memory.set(bot, next);
      if (why === "name-taken" && past.nameHeld === undefined) bus.emit("bot:name-taken", { bot });
      if (why === "removing" && next.nameHeld?.isStuck && !past.nameHeld?.isStuck) bus.emit("bot:name-held", { bot });
    }
    reports.waiting(want, next, why);
    if (until !== undefined) this.#queue.request(bot, until);
  }

  /** Nothing is left to do at the Engine. A bot that should not run is now proven stopped: its placement may say so. */
  async #settle(bot: BotId, want: Want | undefined): Promise<void> {
    const { memory, reports, store, desired } = this.#context;
    const past = memory.get(bot);
    if (want === undefined) {
      memory.delete(bot);
      return reports.forget(bot);
    }
    if (want.desired.want === "run") {
      if (past?.done === undefined) return reports.running(want, past ?? FRESH);
      await reports.settled(want, past, past.done);
      await this.#deactivate(bot, want.segment, want.desired.hash);
      return this.#forget(bot, desired.get(bot) === want);
    }
    if (want.desired.why === "deleted") {
      // A report that still waits would bring the status back. The placement goes last: while it stands, the leader finishes
      // what breaks off here. And only if it is still inactive: a bot inserted again under this id keeps its place.
      await reports.drop(bot);
      desired.conclude(bot);
      await store.apply(deactivate(bot, want.segment, null));
      await store.apply(forgetStatus(bot));
      await store.apply(forgetPlacement(bot));
      return this.#forget(bot, desired.get(bot) === want);
    }
    await reports.settled(want, past ?? FRESH, want.desired.why === "invalid" ? "invalid" : "stopped");
    // Released, draining and fenced bots should still run, elsewhere or later: their placements stay active.
    const { why } = want.desired;
    if (why === "released" || why === "draining" || why === "fenced") return reports.forget(bot);
    await this.#deactivate(bot, want.segment, null);
    this.#forget(bot, desired.get(bot) === want);
  }

  /** The leader leaves active placements alone. So if the user enabled or changed the bot between our look and this
   *  write, nobody else would notice: after the write we look again. */
  async #deactivate(bot: BotId, segment: SegmentId, done: SpecHash | null): Promise<void> {
    const { store, desired } = this.#context;
    desired.conclude(bot);
    await store.apply(deactivate(bot, segment, done));
    if (await desired.shouldRun(bot, done)) await store.apply(activate(bot));
  }

  #forget(bot: BotId, unchanged: boolean): void {
    const { desired, memory, reports } = this.#context;
    if (!unchanged) {
      desired.resume(bot);
      return this.#queue.request(bot);
    }
    desired.settle(bot);
    memory.delete(bot);
    reports.forget(bot);
  }
}
