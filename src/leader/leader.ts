import { ALONE, type AssignmentPolicy, type AssignmentStep, type Observed, operationOf, planAssignment } from "../core/assignment.ts";
import type { Clock } from "../core/clock.ts";
import { type Figures, figuresOf, sharedSegments } from "../core/figures.ts";
import { idleWorkers, shouldHandOver } from "../core/hand-over.ts";
import type { BotId, SessionId } from "../core/ids.ts";
import type { ChangeFeed, Hint } from "../core/ledger.ts";
import { nextTerm } from "../core/operations.ts";
import { judgeTerm } from "../core/term.ts";
import { type Announced, patienceLeftMs, trackAnnounced, trackWaiting, type Waiting } from "../core/waiting.ts";
import { Bell } from "../process/bell.ts";
import { retryPassing, tolerate } from "../process/retry.ts";
import { runGroup } from "../process/run-group.ts";
import { sideBySide } from "../process/side-by-side.ts";
import type { Admission } from "./admission.ts";
import type { Autoscaler } from "./autoscaler.ts";
import { Books } from "./books.ts";
import type { LeaderBus } from "./events.ts";
import type { LeaderStore } from "./ports.ts";
import type { Sessions } from "./sessions.ts";

/** Hints are gathered this long before the leader acts. Source: design.md section 5. */
const DEBOUNCE_MS = 250;
const NEXT_STEP_MS = 20;
/** The first merge waits so long for the feed, and no longer: it must not hang on a stream that does not open. */
const FIRST_HINT_MS = 1_000;
/** Steps that are written at the same time; each is about another segment. */
const WIDTH = 16;

export type LeaderOptions = {
  readonly store: LeaderStore;
  readonly feed: ChangeFeed;
  readonly admission: Admission;
  readonly clock: Clock;
  readonly bus: LeaderBus;
  /** The resync: without any hint, everything is compared again this often, in ms. */
  readonly checkIntervalMs: number;
  /** Who this leader is, for `runtime.fleet`. */
  readonly worker: string;
  /** Its own session, which takes segments last. Absent: all workers are alike. */
  readonly sid?: SessionId;
  /** The sessions of all workers, where there are several. */
  readonly sessions?: Sessions;
  /** Keeps the number of replicas, where somebody has to. */
  readonly autoscaler?: Autoscaler;
  /** Whose fleet it is: workers of others get nothing. Absent: all are ours. */
  readonly fleet?: string;
  /** @default ALONE, for there is one process */
  readonly policy?: AssignmentPolicy;
};

/** The leader's loops while it leads: admit bots, assign segments, tell the figures. */
export class Leader {
  readonly #options: LeaderOptions;
  readonly #books: Books;
  readonly #admit = new Bell();
  readonly #assign = new Bell();
  readonly #hinted = new Set<BotId>();
  #mergeDue = true;
  #unusableDue = false;
  /** Nothing is told of a fleet that was not fully read: segments without their bots would look free. */
  #merged = false;
  #published: { readonly view: string; readonly atMs: number } | undefined;
  #seq = 0;
  readonly #looked = new Bell();
  #waiting: Waiting = new Map();
  #announced: Announced = new Map();
  #figures: { readonly figures: Figures; readonly atMs: number } | undefined;

  constructor(options: LeaderOptions) {
    this.#options = options;
    this.#books = new Books(options.store);
  }

  /** The last figures and their age in ms; none before the first full observation. */
  latest(): { readonly figures: Figures; readonly ageMs: number } | undefined {
    return this.#figures === undefined
      ? undefined
      : { figures: this.#figures.figures, ageMs: this.#options.clock.mono() - this.#figures.atMs };
  }

  /** The sessions were looked at; `isNews`: with another result than before. */
  onLook(isNews: boolean): void {
    this.#looked.ring();
    if (isNews) this.#assign.ring();
  }

  /** Leads until the signal aborts, or until somebody else had better lead: with a later term, with sight of the books, or
   *  without segments of its own. */
  async run(signal: AbortSignal): Promise<void> {
    const { feed, bus, autoscaler, sessions } = this.#options;
    this.#mergeDue = true;
    this.#merged = false;
    this.#published = undefined;
    this.#books.forget();
    const term = await this.#takeTerm(signal);
    this.#waiting = new Map();
    bus.emit("leader:elected", { term });
    if (sessions !== undefined) sessions.isLeading = true;
    try {
      await runGroup(
        [
          (s) => this.#admitLoop(s),
          (s) => this.#assignLoop(term, s),
          (s) => this.#endLoop(s),
          ...(autoscaler === undefined ? [] : [(s: AbortSignal) => autoscaler.run(s)]),
          (s) => feed.watch("bots", (hint) => this.#onHint(hint), s),
          (s) => feed.watch("placements", (hint) => (this.#books.onPlacements(hint), this.#assign.ring()), s),
          (s) => feed.watch("segments", (hint) => (this.#books.onSegments(hint), this.#assign.ring()), s),
        ],
        signal,
      );
    } finally {
      if (sessions !== undefined) sessions.isLeading = false;
      this.#figures = undefined;
      bus.emit("leader:resigned", { term });
    }
  }

  /** O7: every leader's writes carry a term of their own. */
  #takeTerm(signal: AbortSignal): Promise<number> {
    const { clock, bus } = this.#options;
    const onRetry = (error: unknown): void => void bus.emit("round:failed", { loop: "term", error });
    return retryPassing(() => this.#tryTerm(signal), { clock, random: () => 0.5, signal, onRetry }); // one leader: no crowd to spread
  }

  async #tryTerm(signal: AbortSignal): Promise<number> {
    const { store } = this.#options;
    for (;;) {
      signal.throwIfAborted();
      const term = await store.leaderTerm();
      if (term === undefined) {
        if ((await store.insert("control", { _id: "leader", term: 1 })) === "inserted") return 1;
      } else if ((await store.apply(nextTerm(term))) === "won") return term + 1;
    }
  }

  #onHint(hint: Hint): void {
    if (hint.kind === "all") this.#mergeDue = true;
    else if (hint.kind === "unusable") this.#unusableDue = true;
    else for (const id of hint.ids) this.#hinted.add(id as BotId);
    this.#admit.ring();
  }

  async #admitLoop(signal: AbortSignal): Promise<void> {
    const { admission, clock, checkIntervalMs } = this.#options;
    // The feed's first word is to look at everything: with it the first merge is the only one.
    await this.#admit.wait(clock, FIRST_HINT_MS, signal);
    while (!signal.aborted) {
      const isNews = this.#mergeDue || this.#hinted.size > 0;
      await this.#tolerate("admission", async () => {
        if (this.#mergeDue) {
          this.#mergeDue = false;
          await admission.merge(signal).catch((error: unknown) => {
            this.#mergeDue = true;
            throw error;
          });
          this.#merged = true;
        }
        const ids = [...this.#hinted];
        for (let i = 0; i < ids.length; i += 500) {
          const some = ids.slice(i, i + 500);
          // Taken out first: a hint that comes while we look is a new one.
          for (const id of some) this.#hinted.delete(id);
          await admission.look(some).catch((error: unknown) => {
            for (const id of some) this.#hinted.add(id);
            throw error;
          });
        }
        if (this.#unusableDue) await admission.reportUnusable(signal);
        this.#unusableDue = false;
      });
      // Without news the assignment keeps its own interval: nobody need look at everything twice.
      if (isNews) this.#assign.ring();
      await this.#admit.wait(clock, this.#mergeDue ? 1_000 : checkIntervalMs, signal);
    }
  }

  /** Ends silent sessions. Returns when this process should lead no more. */
  async #endLoop(signal: AbortSignal): Promise<void> {
    const { clock, sessions, checkIntervalMs } = this.#options;
    while (!signal.aborted) {
      if (sessions?.hasFailed === true) return;
      await this.#tolerate("sessions", async () => {
        if ((await sessions?.endSilent()) === true) this.#assign.ring();
      });
      await this.#looked.wait(clock, checkIntervalMs, signal);
    }
  }

  /** Plans until the signal aborts or leadership is better placed elsewhere. */
  async #assignLoop(elected: number, signal: AbortSignal): Promise<void> {
    const { clock, bus, checkIntervalMs, sessions, policy = ALONE } = this.#options;
    let term = elected;
    while (!signal.aborted) {
      let steps: AssignmentStep[] = [];
      let isOver = false;
      await this.#tolerate("assignment", async () => {
        if (!this.#merged || sessions?.isSettled() === false) return;
        const observed = await this.#observe();
        // Read only where it matters: most of the time no record knows a later term.
        while (observed.segments.some((s) => s.term > term)) {
          const verdict = judgeTerm(term, await this.#options.store.leaderTerm(), observed.segments);
          isOver = verdict === "lost";
          if (isOver) return;
          term = await this.#takeTerm(signal);
          bus.emit("leader:elected", { term });
        }
        steps = planAssignment(observed, policy);
        await sideBySide(steps, WIDTH, (step) => this.#take(step, term));
        await this.#tell(steps.length === 0 ? observed : await this.#observe());
        isOver = steps.length === 0 && sessions !== undefined && shouldHandOver(observed, sessions.seasoned());
      });
      if (isOver) return;
      // A step may call for the next one (create, then assign): look again soon, else wait for news. The first hint
      // after a quiet time acts at once; those that follow it are gathered.
      await clock.sleep(steps.length > 0 ? NEXT_STEP_MS : DEBOUNCE_MS, signal).catch(() => {});
      if (steps.length > 0) continue;
      const patienceMs = Math.min(
        patienceLeftMs(this.#waiting, [policy.patienceMs, policy.lostPatienceMs]) ?? Infinity,
        this.#announced.size > 0 ? (policy.pullPatienceMs ?? Infinity) : Infinity,
      );
      await this.#assign.wait(clock, this.#merged ? Math.min(checkIntervalMs, patienceMs) : 1_000, signal);
    }
  }

  async #observe(): Promise<Observed> {
    const { store, clock, sid: leader, fleet, sessions, autoscaler } = this.#options;
    const [{ active, segments }, all] = await Promise.all([this.#books.read(), store.workers()]);
    const workers = fleet === undefined ? all : all.filter((w) => w.fleet === fleet);
    const seen = { active, segments, workers, ...(leader !== undefined && { leader }) };
    const now = clock.mono();
    this.#waiting = trackWaiting(this.#waiting, seen, now);
    this.#announced = trackAnnounced(this.#announced, segments, now);
    const announced = new Map([...this.#announced].map(([id, { since }]) => [id, now - since]));
    const suspects = sessions?.suspects();
    const facts = autoscaler?.facts(workers);
    return { ...seen, ...facts, waiting: this.#waiting, announced, ...(suspects !== undefined && { suspects }) };
  }

  async #take(step: AssignmentStep, term: number): Promise<void> {
    const { store, clock, bus } = this.#options;
    this.#books.touch(step.segment);
    if (step.kind === "create") {
      // Epochs begin at the Unix time: a segment whose record was lost never goes below an epoch already seen.
      const epoch = Math.floor(clock.wall().getTime() / 1_000);
      await store.insert("segments", { _id: step.segment, state: "free", owner: null, epoch, term, target: null });
    } else if ((await store.apply(operationOf(step, term))) === "missed") {
      bus.emit("assignment:missed", { step });
      return;
    }
    bus.emit("assignment:stepped", { step });
  }

  async #tell(observed: Observed): Promise<void> {
    const { store, clock, bus, worker, sid, sessions, checkIntervalMs, autoscaler } = this.#options;
    const figures = figuresOf(observed);
    this.#figures = { figures, atMs: clock.mono() };
    bus.emit("figures:observed", { figures, shared: sharedSegments(observed), invalid: await store.countInvalid() });
    autoscaler?.onObserved(observed);
    const idle = idleWorkers(observed);
    const scaling = autoscaler?.told();
    const view = JSON.stringify([figures, idle, scaling]);
    // Said again though nothing is new, so that others can tell an old view from one that still holds.
    if (view === this.#published?.view && (sessions === undefined || clock.mono() - this.#published.atMs < checkIntervalMs)) return;
    const past = await store.fleetView();
    this.#seq = Math.max(this.#seq, past?.seq ?? 0) + 1;
    const lastScaling = scaling?.lastScaling ?? past?.lastScaling;
    await store.publishFleet({
      _id: "fleet",
      leader: worker,
      sid: sid ?? null,
      seq: this.#seq,
      ...figures,
      idle,
      ...(scaling !== undefined && { bounds: scaling.bounds }),
      ...(lastScaling !== undefined && { lastScaling }),
      observedAt: clock.wall(),
    });
    this.#published = { view, atMs: clock.mono() };
  }

  #tolerate(loop: string, round: () => Promise<void>): Promise<unknown> {
    return tolerate(round, (error) => this.#options.bus.emit("round:failed", { loop, error }));
  }
}
