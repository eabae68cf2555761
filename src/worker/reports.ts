import type { BotState, Exit } from "../core/bot.ts";
import type { Clock } from "../core/clock.ts";
import type { Container, StopReason } from "../core/containers.ts";
import type { BotId } from "../core/ids.ts";
import type { StatusRecord } from "../core/records.ts";
import type { BotMemory, EndReason } from "../core/restart.ts";
import type { Want } from "./desired.ts";
import type { WorkerBus } from "./events.ts";
import { ReportWriter, type ReportWriterOptions, type StatusFields } from "./report-writer.ts";

/** What frees a name that the Engine does not let go. Outside a cluster nobody does it but its operator. */
const RESTART_DOCKER = "restart the Docker daemon";

/** Ends of a run after which the bot runs on elsewhere. */
const HAND_OVERS: readonly string[] = ["released", "draining", "fenced"] satisfies StopReason[];

/** What MongoDB is told of the bots: composed from what happened to them, written by `ReportWriter`. */
export class Reports {
  readonly #writer: ReportWriter;
  readonly #clock: Clock;
  readonly #bus: WorkerBus;
  readonly #worker: string;
  readonly #last = new Map<BotId, StatusFields>();
  /** What this process has told of a bot. Not what it remembers: that is another process's word, and nobody here has counted it. */
  readonly #told = new Map<BotId, BotState>();
  /** When the last owner of a bot had stopped it for us; until it starts here. */
  readonly #handedOver = new Map<BotId, Date>();

  constructor(options: ReportWriterOptions & { readonly worker: string }) {
    this.#writer = new ReportWriter(options);
    this.#clock = options.clock;
    this.#bus = options.bus;
    this.#worker = options.worker;
  }

  /** Writes what waits until the signal aborts. */
  run(signal: AbortSignal): Promise<void> {
    return this.#writer.run(signal);
  }

  /** Writes what waits now. @throws {StoreUnreachableError} and keeps what was not written. */
  flush(): Promise<void> {
    return this.#writer.flush();
  }

  starting(want: Want, memory: BotMemory): void {
    this.#put(want, memory, "starting", "");
  }

  running(want: Want, memory: BotMemory): void {
    this.#put(want, memory, "running", "");
  }

  waiting(want: Want | undefined, memory: BotMemory, why: "backoff" | "no-image" | "removing" | "name-taken"): void {
    if (want === undefined) return;
    if (why === "removing") {
      if (memory.nameHeld?.isStuck) this.#put(want, memory, "pending", `the removal of its old container does not end: ${RESTART_DOCKER}`);
    } else if (why === "name-taken")
      this.#put(want, memory, "pending", "its container name is held by a container that is not ours: remove that container");
    else this.#put(want, memory, "backoff", this.#last.get(want.bot)?.message ?? "");
  }

  stopping(want: Want | undefined, memory: BotMemory, why: StopReason): void {
    if (want !== undefined) this.#put(want, memory, "stopping", why);
  }

  startFailed(want: Want, memory: BotMemory, error: Error): void {
    this.#put(want, memory, "backoff", error.message);
  }

  nameHeld(want: Want, memory: BotMemory, { message }: Error): void {
    this.#put(
      want,
      memory,
      "backoff",
      memory.nameHeld?.isStuck ? `${message}, and that does not pass by itself: ${RESTART_DOCKER}` : message,
    );
  }

  /** A run ended: its record is kept, and how it ended becomes part of the bot's status. */
  ended(want: Want | undefined, memory: BotMemory, container: Container, exit: Exit, why: EndReason, endedWhy: string, log: string): void {
    const ended = exit.finishedAt ?? this.#clock.wall();
    this.#writer.putRun({
      _id: container.id,
      bot: container.bot,
      segment: container.segment,
      epoch: container.epoch,
      worker: this.#worker,
      started: exit.startedAt ?? null,
      ended,
      exit: exit.code,
      oom: exit.oom,
      startedWhy: container.startedWhy,
      ...(container.imageId !== undefined && { digest: container.imageId }),
      endedWhy,
      log,
    });
    if (want === undefined) return;
    const message = exit.error !== "" ? exit.error : oomText(exit);
    const state: BotState =
      why === "completed" || why === "failed" ? why : why === "crashed" ? "backoff" : (this.#last.get(want.bot)?.state ?? "stopping");
    this.#put(want, memory, state, message, { code: exit.code, oom: exit.oom, at: ended, why: endedWhy });
  }

  /** The last word on a bot, written before anything is concluded from it. @throws {StoreUnreachableError} */
  async settled(want: Want, memory: BotMemory, state: "completed" | "failed" | "stopped" | "invalid"): Promise<void> {
    const told = want.desired.want === "stop" ? want.desired.why : (this.#last.get(want.bot)?.message ?? "");
    const message = state === "invalid" ? want.faults.join("; ") : told;
    this.#put(want, memory, state, message);
    await this.#writer.settle(want.bot);
  }

  forget(bot: BotId): void {
    this.#last.delete(bot);
    this.#handedOver.delete(bot);
    this.#tell(bot, undefined);
  }

  /** Nothing more is written of this bot: what waits is dropped, what is on its way has landed or failed. */
  drop(bot: BotId): Promise<void> {
    return this.#writer.drop(bot);
  }

  /** What was reported before this process began, so that a status keeps its last exit. */
  remember(statuses: readonly StatusRecord[]): void {
    for (const { _id, epoch: _e, sid: _s, ...fields } of statuses) {
      if (typeof _id !== "string" || this.#last.has(_id)) continue;
      this.#last.set(_id, fields);
      const { state, lastExit } = fields;
      if (state === "stopped" && lastExit !== null && HAND_OVERS.includes(lastExit.why)) this.#handedOver.set(_id, lastExit.at);
    }
  }

  /** A bot has started. Returns how long it had stood still since its last owner stopped it for us, in ms, by the wall clocks of
   *  two machines: a number for people. Undefined where nobody handed it over, as after an owner's death. */
  arrived(bot: BotId): number | undefined {
    const since = this.#handedOver.get(bot);
    this.#handedOver.delete(bot);
    return since === undefined ? undefined : Math.max(0, this.#clock.wall().getTime() - since.getTime());
  }

  #put(want: Want, memory: BotMemory, state: BotState, message: string, exit?: NonNullable<StatusFields["lastExit"]>): void {
    const last = this.#last.get(want.bot);
    const waitMs = memory.nextStart === undefined ? undefined : memory.nextStart - this.#clock.mono();
    const fields: StatusFields = {
      state,
      message,
      worker: this.#worker,
      warnings: want.warnings,
      since: last?.state === state ? last.since : this.#clock.wall(),
      container: memory.container ?? null,
      restarts: memory.restarts,
      attempt: memory.attempt,
      nextStart: state === "backoff" && waitMs !== undefined ? new Date(this.#clock.wall().getTime() + waitMs) : null,
      lastExit: exit ?? last?.lastExit ?? null,
      spec: memory.spec ?? null,
    };
    this.#last.set(want.bot, fields);
    this.#tell(want.bot, state);
    this.#writer.put({ want, fields });
  }

  #tell(bot: BotId, to: BotState | undefined): void {
    const from = this.#told.get(bot);
    if (from === to) return;
    if (to === undefined) this.#told.delete(bot);
    else this.#told.set(bot, to);
    this.#bus.emit("bot:state", { bot, from, to });
  }
}

/** The Engine sets its flag for any process of the container, and a bot may well outlive its child. */
function oomText({ oom, code }: Exit): string {
  if (oom === "no") return "";
  if (oom === "likely-oom") return "probably killed: out of memory";
  return code === 137 ? "killed: out of memory" : "a process of it was killed: out of memory";
}
