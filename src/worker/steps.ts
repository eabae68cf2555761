import type { Clock } from "../core/clock.ts";
import type { ContainerStep } from "../core/containers.ts";
import { EngineRefusedError, EngineUnreachableError, ImageUnavailableError, NameHeldError } from "../core/errors.ts";
import type { BotId, SegmentId } from "../core/ids.ts";
import {
  afterAdoption,
  afterExit,
  afterFailedStart,
  afterHeldName,
  afterMissingImage,
  afterStart,
  type BotMemory,
  FRESH,
} from "../core/restart.ts";
import type { DesiredBots, Want } from "./desired.ts";
import type { WorkerBus } from "./events.ts";
import type { ImageWaits } from "./image-waits.ts";
import type { Engine, WorkerStore } from "./ports.ts";
import type { Reports } from "./reports.ts";
import type { Slots } from "./slots.ts";
import type { TakeOver } from "./take-over.ts";

/** Last lines of a run that are kept with it, in bytes. Source: design.md section 3, `runtime.runs`. */
const RUN_LOG_BYTES = 16 * 1024;

export type StepContext = {
  readonly engine: Engine;
  readonly store: WorkerStore;
  readonly desired: DesiredBots;
  readonly reports: Reports;
  readonly memory: Map<BotId, BotMemory>;
  readonly slots: Slots<SegmentId>;
  readonly takeOver: TakeOver;
  readonly imageWaits: ImageWaits;
  readonly bus: WorkerBus;
  readonly clock: Clock;
  readonly random: () => number;
  /** The start gate: whether this process may still start a bot of that segment under that epoch. */
  readonly mayStart: (want: Want) => boolean;
  /** Whether what nobody here wants may be removed: only while the store answers, for its silence is no order to kill. */
  readonly maySweep: () => boolean;
};

type Act<Step> = (step: Step, bot: BotId, want: Want | undefined, context: StepContext, signal: AbortSignal) => Promise<boolean>;

/** One executor per step; a step without one cannot compile. Each says whether the visit goes on and looks again. */
export const executors: { readonly [K in Exclude<ContainerStep["kind"], "wait">]: Act<Extract<ContainerStep, { kind: K }>> } = {
  async start({ why }, bot, want, context, signal) {
    if (want?.desired.want !== "run" || !context.mayStart(want) || !context.takeOver.admits(bot)) return false;
    const { engine, slots, memory, reports, clock, random, bus, imageWaits } = context;
    const { spec, hash, segment, epoch, sid } = want.desired;
    const began = clock.mono();
    reports.starting(want, memory.get(bot) ?? FRESH);
    try {
      const provide = (s: AbortSignal) => engine.ensureImage(spec.image, spec.imagePullPolicy ?? "if-not-present", s);
      if (!(await imageWaits.for(bot, () => isSame(want, context.desired.get(bot)), provide, signal))) return true;
      return await slots.use(segment, async () => {
        // The wait for the image and the slot may have been long: what was decided then need not hold now.
        if (context.desired.get(bot) !== want || !context.mayStart(want)) return true;
        const container = await engine.create({ bot, spec, hash, segment, epoch, sid, why });
        await engine.start(container);
        if (!context.mayStart(want)) {
          await engine.stop(container, 0);
          return true;
        }
        memory.set(bot, afterStart(memory.get(bot) ?? FRESH, hash, container, clock.mono()));
        bus.emit("bot:started", { bot, container, why, tookMs: clock.mono() - began, gapMs: reports.arrived(bot) });
        return true;
      });
    } catch (error) {
      if (error instanceof NameHeldError) {
        const held = afterHeldName(memory.get(bot) ?? FRESH, hash, clock.mono(), random);
        if (held.nameHeld.isStuck && !memory.get(bot)?.nameHeld?.isStuck) bus.emit("bot:name-held", { bot });
        memory.set(bot, held);
        reports.nameHeld(want, held, error);
        return true;
      }
      if (!(error instanceof ImageUnavailableError || error instanceof EngineRefusedError)) throw error;
      // A name that is still taken is settled by the next look; everything else the Engine refuses counts as a crash.
      if (error instanceof EngineRefusedError && error.status === 409) return true;
      const past = memory.get(bot) ?? FRESH;
      const now = clock.mono();
      const failed =
        error instanceof ImageUnavailableError
          ? afterMissingImage(past, hash, error, now, random)
          : afterFailedStart(past, hash, now, random);
      memory.set(bot, failed);
      reports.startFailed(want, failed, error);
      bus.emit("bot:start-failed", { bot, retryMs: failed.nextStart === undefined ? undefined : failed.nextStart - now, error });
      return true;
    }
  },

  async adopt({ container }, bot, want, { memory, bus, clock, reports }) {
    const adopted = afterAdoption(memory.get(bot) ?? FRESH, container.spec, container.id, clock.mono());
    memory.set(bot, adopted);
    bus.emit("bot:adopted", { bot, container: container.id });
    if (want !== undefined) reports.running(want, adopted);
    return false; // nothing was changed at the Engine: the look that led here says it all
  },

  async stop({ container, why, graceSeconds }, bot, want, { engine, memory, reports, bus, clock }) {
    const began = clock.mono();
    memory.set(bot, { ...(memory.get(bot) ?? FRESH), stopping: why });
    reports.stopping(want, memory.get(bot) ?? FRESH, why);
    await engine.stop(container.id, graceSeconds);
    bus.emit("bot:stopped", { bot, container, why, tookMs: clock.mono() - began });
    return true;
  },

  async reap({ container }, bot, want, { engine, memory, reports, bus, clock, random }) {
    const { exit } = container;
    if (exit === undefined) throw new EngineUnreachableError(`Cannot tell how container "${container.id}" ended`);
    const known = memory.get(bot) ?? FRESH;
    const current = want?.desired.want === "run" && want.desired.sid === container.sid && want.desired.epoch === container.epoch;
    // A start whose reply was lost, or an end while this process was not there: it was a run of the bot all the same.
    const past =
      current && known.stopping === undefined && known.container !== container.id
        ? afterAdoption(known, container.spec, container.id, clock.mono())
        : known;
    const policy = want?.desired.want === "run" ? want.desired.spec.restart : "always";
    const end =
      past.stopping !== undefined || current
        ? afterExit(past, policy, exit, clock.mono(), random)
        : ({ memory: past, why: "stopped" } as const);
    const log = await engine.logTail(container.id, RUN_LOG_BYTES).catch(() => ""); // the record of a run must not wait for its log
    reports.ended(want, end.memory, container, exit, end.why, past.stopping ?? end.why, log);
    await engine.remove(container);
    memory.set(bot, end.memory);
    bus.emit("bot:ended", { bot, container: container.id, exit, why: end.why });
    return true;
  },

  async remove({ container }, _bot, _want, { engine }) {
    await engine.remove(container);
    return true;
  },
};

/** Whether the same should run as before; a want that was only read again is another object. */
function isSame({ desired: then }: Want, now: Want | undefined): boolean {
  if (then.want !== "run" || now?.desired.want !== "run") return false;
  const { hash, epoch, sid } = now.desired;
  return hash === then.hash && epoch === then.epoch && sid === then.sid;
}
