import type { Clock } from "../core/clock.ts";
import { StoreUnreachableError } from "../core/errors.ts";
import type { BotId } from "../core/ids.ts";
import type { Hint } from "../core/ledger.ts";
import { Bell } from "../process/bell.ts";
import { Due } from "../process/due.ts";
import { tolerate } from "../process/retry.ts";
import type { Bots } from "./bots.ts";
import type { DesiredBots } from "./desired.ts";
import type { WorkerBus } from "./events.ts";
import type { Lifeline } from "./lifeline.ts";
import type { WorkerStore } from "./ports.ts";
import type { Reports } from "./reports.ts";
import type { OwnedSegments } from "./segments.ts";

/** Own segments are read each second; a change stream only makes it faster. Source: ownership.md "Worker". */
const SEGMENTS_POLL_MS = 1_000;
/** While leaving, the proof is tried this often. */
export const PROOF_POLL_MS = 100;
/** Statuses that are read at once. */
const PAGE = 500;

export type LooksOptions = {
  readonly store: WorkerStore;
  readonly lifeline: Lifeline;
  readonly segments: OwnedSegments;
  readonly desired: DesiredBots;
  readonly bots: Bots;
  readonly reports: Reports;
  readonly clock: Clock;
  readonly bus: WorkerBus;
  /** Whether the database may be dropped under us. */
  readonly watchesLife: boolean;
  /** An operator has asked this worker to drain. */
  readonly onDrainAsked: () => Promise<void>;
};

/** The worker's looks into the store: at its segments, each second, and at the bots that hints name. */
export class Looks {
  readonly #options: LooksOptions;
  readonly #news = new Bell();
  readonly #hinted = new Due<BotId>();
  readonly #reload = new Due<"all">();
  #storeIsAway = false;
  #tickedAt: number;

  constructor(options: LooksOptions) {
    this.#options = options;
    this.#tickedAt = options.clock.mono();
  }

  /** Whether the last look found nobody there. */
  get storeIsAway(): boolean {
    return this.#storeIsAway;
  }

  /** Time since the last look began, in ms. */
  get ageMs(): number {
    return this.#options.clock.mono() - this.#tickedAt;
  }

  /** There is something to see. */
  ring(): void {
    this.#news.ring();
  }

  onHint(hint: Hint): void {
    if (hint.kind === "all") this.#reload.add(["all"]);
    else if (hint.kind === "some") this.#hinted.add(hint.ids as readonly BotId[]);
    this.ring();
  }

  /** Takes over what was reported of bots that are new here. @throws {StoreUnreachableError} */
  async remember(ids: readonly BotId[]): Promise<void> {
    const { store, bots, reports } = this.#options;
    const unknown = ids.filter((bot) => !bots.memory.has(bot));
    for (let i = 0; i < unknown.length; i += PAGE) {
      const statuses = await store.findStatuses(unknown.slice(i, i + PAGE));
      bots.remember(statuses);
      reports.remember(statuses);
    }
  }

  /** Looks until the signal aborts. A look that fails for a passing reason is told and made again; any other fault ends it. */
  async run(signal: AbortSignal): Promise<void> {
    const { lifeline, segments, clock, bus, onDrainAsked } = this.#options;
    while (!signal.aborted) {
      this.#tickedAt = clock.mono();
      if (lifeline.isDrainAsked && !segments.isDraining) {
        bus.emit("drain:asked");
        await onDrainAsked();
      }
      segments.leaveOverdue();
      const fault = await tolerate(
        () => this.#look(signal),
        (error) => bus.emit("round:failed", { loop: "segments", error }),
      );
      this.#storeIsAway = fault instanceof StoreUnreachableError;
      await this.#news.wait(clock, segments.isDraining ? PROOF_POLL_MS : SEGMENTS_POLL_MS, signal);
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { store, lifeline, segments, watchesLife } = this.#options;
    if (watchesLife) lifeline.sawLife((await store.fleet())?.incarnation);
    await segments.round(signal);
    await this.#reload.take(() => segments.reload(signal));
    await this.#hinted.take((bots) => this.#readAgain(bots));
  }

  async #readAgain(ids: readonly BotId[]): Promise<void> {
    const touched = await this.#options.desired.refresh(ids);
    await this.remember(touched);
    this.#options.bots.request(touched);
  }
}
