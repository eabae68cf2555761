import type { Clock } from "../core/clock.ts";
import type { BotId, SessionId } from "../core/ids.ts";
import { reportStatus } from "../core/operations.ts";
import type { RunRecord, StatusRecord } from "../core/records.ts";
import { Bell } from "../process/bell.ts";
import { retryPassing } from "../process/retry.ts";
import type { Want } from "./desired.ts";
import type { WorkerBus } from "./events.ts";
import type { WorkerStore } from "./ports.ts";

/** Runs that may wait for MongoDB; beyond it the oldest is dropped, for bots matter more than their history. */
const MAX_WAITING_RUNS = 1_000;
/** Statuses written at the same time. */
const WIDTH = 16;

/** What a status says, whoever writes it. */
export type StatusFields = Omit<StatusRecord, "_id" | "epoch" | "sid">;
export type Report = { readonly want: Want; readonly fields: StatusFields };

export type ReportWriterOptions = {
  readonly store: WorkerStore;
  readonly clock: Clock;
  readonly random: () => number;
  readonly bus: WorkerBus;
  readonly sid: SessionId;
};

/** Writes statuses and runs to MongoDB. Only the latest status of a bot waits, so an outage costs
 *  no memory; writes carry the owner's epoch and are refused once a newer owner has written. */
export class ReportWriter {
  readonly #options: ReportWriterOptions;
  readonly #pending = new Map<BotId, Report>();
  readonly #writing = new Map<BotId, Promise<void>>();
  readonly #runs: RunRecord[] = [];
  readonly #bell = new Bell();

  constructor(options: ReportWriterOptions) {
    this.#options = options;
  }

  put(report: Report): void {
    this.#pending.set(report.want.bot, report);
    this.#bell.ring();
  }

  putRun(run: RunRecord): void {
    this.#runs.push(run);
    if (this.#runs.length > MAX_WAITING_RUNS) this.#runs.shift();
    this.#bell.ring();
  }

  /** Writes what waits of one bot now. @throws {StoreUnreachableError} */
  async settle(bot: BotId): Promise<void> {
    const report = this.#pending.get(bot);
    if (report !== undefined) await this.#write(report);
  }

  /** Nothing more is written of this bot: what waits is dropped, what is on its way has landed or failed. */
  async drop(bot: BotId): Promise<void> {
    this.#pending.delete(bot);
    await this.#writing.get(bot)?.catch(() => {});
  }

  /** Writes what waits until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, bus } = this.#options;
    while (!signal.aborted) {
      if (!this.#hasWork()) await this.#bell.wait(clock, 60_000, signal);
      if (signal.aborted) return;
      const onRetry = (error: unknown): void => void bus.emit("round:failed", { loop: "reports", error });
      await retryPassing(() => this.flush(), { clock, random, signal, onRetry });
    }
  }

  /** Writes what waits now. @throws {StoreUnreachableError} and keeps what was not written. */
  async flush(): Promise<void> {
    await Promise.all([...this.#pending.values()].slice(0, WIDTH).map((report) => this.#write(report)));
    for (let run = this.#runs[0]; run !== undefined; run = this.#runs[0]) {
      await this.#options.store.recordRun(run);
      if (this.#runs[0] === run) this.#runs.shift();
    }
    if (this.#hasWork()) await this.flush();
  }

  #hasWork(): boolean {
    return this.#pending.size > 0 || this.#runs.length > 0;
  }

  /** One write a bot at a time: an older report that is still on its way must not land after a newer one. */
  #write(report: Report): Promise<void> {
    const { bot } = report.want;
    const earlier = this.#writing.get(bot) ?? Promise.resolve();
    const mine = earlier.then(
      () => this.#writeNow(report),
      () => this.#writeNow(report),
    );
    this.#writing.set(bot, mine);
    return mine.finally(() => {
      if (this.#writing.get(bot) === mine) this.#writing.delete(bot);
    });
  }

  async #writeNow(report: Report): Promise<void> {
    const { store, sid, bus } = this.#options;
    const { bot, epoch } = report.want;
    const outcome = await store.apply(reportStatus(bot, epoch, sid, report.fields));
    if (this.#pending.get(bot) === report) this.#pending.delete(bot);
    if (outcome === "missed") bus.emit("status:refused", { bot });
  }
}
