import type { BotReading, FoundDocument } from "../core/bot.ts";
import type { Clock } from "../core/clock.ts";
import type { Need } from "../core/engine-restart.ts";
import type { ChangeFeed } from "../core/ledger.ts";
import { retryPassing } from "../process/retry.ts";
import { type Actor, runGroup } from "../process/run-group.ts";
import { Bots } from "./bots.ts";
import { DesiredBots } from "./desired.ts";
import { EngineHealth } from "./engine-health.ts";
import { EngineRestarts } from "./engine-restarts.ts";
import type { WorkerBus } from "./events.ts";
import { Looks, PROOF_POLL_MS } from "./looks.ts";
import type { Engine, WorkerStore } from "./ports.ts";
import { Preloads } from "./preloads.ts";
import { Reconcile } from "./reconcile.ts";
import { Reports } from "./reports.ts";
import { RightWatch } from "./right-watch.ts";
import { type MovePatience, OwnedSegments, type ReleasedRecord } from "./segments.ts";
import type { Lifeline } from "./lifeline.ts";
import { Slots } from "./slots.ts";

/** Without a round of the main loop for so long the process is called dead, in ms. */
export const MAX_TICK_AGE_MS = 60_000;

export type WorkerOptions = {
  readonly store: WorkerStore;
  readonly feed: ChangeFeed;
  readonly engine: Engine;
  readonly lifeline: Lifeline;
  readonly released: ReleasedRecord;
  readonly read: (found: readonly FoundDocument[]) => BotReading | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  readonly bus: WorkerBus;
  readonly pod: string;
  readonly startConcurrency: number;
  /** Whether the fence is there and sees the same time as we do; absent where there is none. */
  readonly isFenceSteady?: () => boolean;
  /** Whether this is one of several: then the database may be dropped under a fleet that still runs. */
  readonly watchesLife?: boolean;
  /** How long a drain waits for others to be ready; absent where there are none. */
  readonly movePatience?: MovePatience;
};

/** A worker's loops over the bots of its segments. */
export class Worker {
  readonly #options: WorkerOptions;
  readonly #bots: Bots;
  readonly #desired: DesiredBots;
  readonly #reports: Reports;
  readonly #segments: OwnedSegments;
  readonly #preloads: Preloads;
  readonly #right: RightWatch;
  readonly #health: EngineHealth;
  readonly #restarts: EngineRestarts;
  readonly #reconcile: Reconcile;
  readonly #looks: Looks;
  readonly #draining = new AbortController();

  constructor(options: WorkerOptions) {
    this.#options = options;
    const { store, engine, lifeline, clock, random, bus, read, pod, released } = options;
    const { sid } = lifeline;
    this.#desired = new DesiredBots(store, read, sid);
    this.#reports = new Reports({ store, clock, random, bus, sid, worker: pod });
    this.#bots = new Bots({
      engine,
      store,
      desired: this.#desired,
      reports: this.#reports,
      slots: new Slots(options.startConcurrency),
      bus,
      clock,
      random,
      maySweep: () => !this.#looks.storeIsAway,
      mayStart: (want) => this.#right.mayStart(want.bot) && this.#segments.mayStart(want.segment, want.epoch),
    });
    this.#right = new RightWatch({
      lifeline,
      clock,
      bus,
      isFenceSteady: options.isFenceSteady,
      onTurn: (mayRun) => this.#turn(mayRun),
      onGranted: (refused) => this.#bots.request(refused),
    });
    this.#health = new EngineHealth({ clock, lifeline, bus, onSilent: () => this.#reconcile.request() });
    this.#restarts = new EngineRestarts({
      engine,
      lifeline,
      store,
      clock,
      bus,
      needs: () => this.#needs(),
      // Whatever pause each of them has come to: what failed is looked at now.
      onBack: () => {
        this.#bots.request(new Set(this.#bots.busy()));
        this.#reconcile.request();
      },
    });
    this.#preloads = new Preloads({ store, engine, read, sid, bus });
    this.#segments = new OwnedSegments({
      store,
      engine,
      desired: this.#desired,
      bots: this.#bots,
      released,
      sid,
      clock,
      bus,
      preload: (record) => this.#preloads.request(record),
      onLoaded: (bots) => this.#looks.remember(bots),
      onGained: (bots) => this.#reconcile.takeOver(bots),
    });
    this.#looks = new Looks({
      store,
      lifeline,
      segments: this.#segments,
      desired: this.#desired,
      bots: this.#bots,
      reports: this.#reports,
      clock,
      bus,
      watchesLife: options.watchesLife === true,
      onDrainAsked: () => this.#beginDraining(),
    });
    this.#reconcile = new Reconcile({
      engine,
      clock,
      bus,
      bots: this.#bots,
      desired: this.#desired,
      segments: this.#segments,
      health: this.#health,
      storeIsAway: () => this.#looks.storeIsAway,
    });
  }

  /** Whether every owned segment has been read at least once: half of this pod's readiness. */
  get isReady(): boolean {
    return this.#segments.isComplete;
  }

  /** Aborts once everything is being given up. */
  get draining(): AbortSignal {
    return this.#draining.signal;
  }

  /** Whether this worker owns nothing. */
  get isIdle(): boolean {
    return this.#segments.size === 0;
  }

  /** Time since the main loop last came round, in ms: what `/healthz` judges by. */
  get tickAgeMs(): number {
    return this.#looks.ageMs;
  }

  /** Runs until the signal aborts. Bots are left as they are: who wants them stopped drains first.
   *  @throws {AggregateError} holding SessionLostError when the session was ended or replaced. */
  run(signal: AbortSignal): Promise<void> {
    const { feed, engine, lifeline } = this.#options;
    const actors: Actor[] = [
      (s) => this.#bots.run(s),
      (s) => this.#reports.run(s),
      (s) => lifeline.run(s, () => this.tickAgeMs < MAX_TICK_AGE_MS),
      (s) => this.#right.run(s),
      (s) => this.#health.run(s),
      (s) => this.#restarts.run(s),
      (s) => this.#preloads.run(s),
      (s) => this.#looks.run(s),
      (s) => this.#reconcile.run(s),
      (s) => engine.watch((bot) => (bot === undefined ? this.#reconcile.request() : this.#bots.request([bot])), s),
      (s) => feed.watch("segments", () => this.#looks.ring(), s),
      (s) => feed.watch("placements", (hint) => this.#looks.onHint(hint), s),
      (s) => feed.watch("bots", (hint) => this.#looks.onHint(hint), s),
    ];
    return runGroup(actors, signal);
  }

  /** Gives up everything in order: stop, prove, release, per segment and in parallel. Returns whether all was released
   *  before the signal aborted; with MongoDB away it ends once all bots are stopped, for nobody can be told.
   *  Call it while `run` runs. */
  async drain(signal: AbortSignal): Promise<boolean> {
    const { clock, lifeline, engine, random } = this.#options;
    await this.#beginDraining();
    while (this.#segments.size > 0) {
      if (signal.aborted) return false;
      await clock.sleep(PROOF_POLL_MS, signal).catch(() => {});
      if (this.#looks.storeIsAway && !(await engine.list()).some((c) => c.sid === lifeline.sid)) return false;
    }
    await this.#reports.flush();
    // Unsaid, the leader would wait for a sign of life that never comes before it gives away what we have left.
    await retryPassing(() => lifeline.stepDown("gone"), { clock, random, signal });
    return true;
  }

  async #beginDraining(): Promise<void> {
    const { lifeline, bus } = this.#options;
    this.#segments.drain(this.#options.movePatience);
    this.#draining.abort();
    this.#looks.ring();
    await lifeline.stepDown("draining").catch((error: unknown) => bus.emit("round:failed", { loop: "drain", error }));
  }

  #turn(mayRun: boolean): void {
    this.#desired.fence(!mayRun);
    this.#bots.request([...this.#desired.all()].map((w) => w.bot));
  }

  /** What ownership cannot have without the Engine. */
  #needs(): Need[] {
    const { lifeline } = this.#options;
    const stops = this.#segments.leaving.map((tenure): Need => ({ what: "stop", ...tenure }));
    const starts = this.#bots.unstarted().map(({ bot, segment, epoch }): Need => ({ what: "start", segment, epoch, bot }));
    // Before the first list nothing is looked at. A new session began with nothing that ran; one that goes on may have it all.
    const isNew = !this.#reconcile.hasAdopted && lifeline.inc === 1;
    const unread = isNew ? this.#segments.unread.map((tenure): Need => ({ what: "start", ...tenure })) : [];
    return [...stops, ...starts, ...unread];
  }
}
