import { ALONE, type AssignmentPolicy, type AssignmentStep, type Observed, operationOf, planAssignment } from "../core/assignment.ts";
import type { Clock } from "../core/clock.ts";
import { hasMoveInHand, shouldHandOver } from "../core/hand-over.ts";
import type { BotId, SegmentId, SessionId } from "../core/ids.ts";
import type { ChangeFeed } from "../core/ledger.ts";
import { nextTerm } from "../core/operations.ts";
import { judgeTerm } from "../core/term.ts";
import { Bell } from "../process/bell.ts";
import { CallsInHand } from "../process/calls-in-hand.ts";
import { retryPassing, tolerate } from "../process/retry.ts";
import { runGroup } from "../process/run-group.ts";
import type { Admission } from "./admission.ts";
import { Admitting } from "./admitting.ts";
import type { Autoscaler } from "./autoscaler.ts";
import { Books } from "./books.ts";
import type { EndableStore } from "./endable-store.ts";
import type { LeaderBus } from "./events.ts";
import type { LeaseSweep } from "./lease-sweep.ts";
import { Observing } from "./observing.ts";
import type { Sessions } from "./sessions.ts";
import { Telling } from "./telling.ts";

/** Hints are gathered this long before the leader acts. Source: design.md section 5. */
const DEBOUNCE_MS = 250;
const NEXT_STEP_MS = 20;
/** How often it is looked whether the first merge is through, should nobody say so. */
const UNMERGED_MS = 1_000;
/** Steps that are written at the same time, each about another segment, and how long a round waits for word of them, in ms. */
const WIDTH = 16;
const STEP_PATIENCE_MS = 500;

export type LeaderOptions = {
  /** All that works for this leader reads by the same one. */
  readonly store: EndableStore;
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
  /** Removes what workers leave behind in the second store, where there is one. */
  readonly sweep?: LeaseSweep;
  /** Whose fleet it is: workers of others get nothing. Absent: all are ours. */
  readonly fleet?: string;
  /** @default ALONE, for there is one process */
  readonly policy?: AssignmentPolicy;
  /** Aborts once this process is about to leave: it ends with what it has in hand. */
  readonly leaving?: AbortSignal;
};

/** The leader's loops while it leads: admit bots, assign segments, tell the figures. */
export class Leader {
  readonly #options: LeaderOptions;
  readonly #books: Books;
  readonly #observing: Observing;
  readonly #admitting: Admitting;
  readonly #telling: Telling;
  readonly #writes: CallsInHand<SegmentId>;
  readonly #assign = new Bell();
  readonly #looked = new Bell();

  constructor(options: LeaderOptions) {
    this.#options = options;
    this.#books = new Books(options.store);
    this.#observing = new Observing(options, this.#books);
    this.#admitting = new Admitting({ ...options, onNews: (bots) => this.#admitted(bots) });
    const { sid, sessions, clock } = options;
    this.#writes = new CallsInHand({ clock, patienceMs: STEP_PATIENCE_MS, width: WIDTH, onLate: (error) => this.#onLate(error) });
    this.#telling = new Telling({ ...options, sid, hasReaders: sessions !== undefined, headless: () => sessions?.headless() ?? [] });
  }

  /** The last figures and their age in ms; none before the first full observation. */
  latest(): ReturnType<Telling["latest"]> {
    return this.#telling.latest();
  }

  /** The sessions were looked at; `isNews`: with another result than before. */
  onLook(isNews: boolean): void {
    this.#looked.ring();
    if (isNews) this.#assign.ring();
  }

  /** Our own writes: the feed would tell of them as well, and later. */
  #admitted(bots: readonly BotId[]): void {
    this.#books.onPlacements({ kind: "some", ids: bots });
    this.#assign.ring();
  }

  /** A round went on without the answer to a step of its. */
  #onLate(error: unknown): void {
    if (error !== undefined) this.#options.bus.emit("round:failed", { loop: "assignment", error });
    this.#assign.ring();
  }

  /** Leads until the signal aborts, or until somebody else had better lead: with a later term, with sight of the books, or
   *  without segments of its own. */
  async run(signal: AbortSignal): Promise<void> {
    const { store, feed, bus, autoscaler, sweep, sessions } = this.#options;
    store.endWith(signal);
    for (const part of [this.#admitting, this.#telling, this.#books]) part.forget();
    const term = await this.#takeTerm(signal);
    this.#observing.begin();
    bus.emit("leader:elected", { term });
    if (sessions !== undefined) sessions.isLeading = true;
    try {
      await runGroup(
        [
          (s) => (store.endWith(s), this.#admitting.run(s)),
          (s) => this.#assignLoop(term, s),
          (s) => this.#endLoop(s),
          ...[autoscaler, sweep].flatMap((part) => (part === undefined ? [] : [(s: AbortSignal) => part.run(s)])),
          (s) => feed.watch("bots", (hint) => this.#admitting.onHint(hint), s),
          (s) => feed.watch("placements", (hint) => (this.#books.onPlacements(hint), this.#assign.ring()), s),
          (s) => feed.watch("segments", (hint) => (this.#books.onSegments(hint), this.#assign.ring()), s),
        ],
        signal,
      );
    } finally {
      // Leadership is given back only when nothing that was written in its name is still on its way.
      await this.#writes.ended();
      if (sessions !== undefined) sessions.isLeading = false;
      this.#telling.forget();
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
    const { clock, bus, checkIntervalMs, sessions, autoscaler, policy = ALONE } = this.#options;
    const bell = (): void => this.#assign.ring();
    this.#options.leaving?.addEventListener("abort", bell, { signal });
    let term = elected;
    while (!signal.aborted) {
      let steps: AssignmentStep[] = [];
      let isOver = false;
      await this.#tolerate("assignment", async () => {
        // Nothing is planned for a fleet that was not fully read.
        if (!this.#admitting.isMerged) return;
        const observed = await this.#observing.observe();
        // Nor is anything given away that an earlier life may still run; but more pods may come meanwhile.
        if (sessions?.isSettled() === false) return autoscaler?.onObserved(observed, { mayShrink: false });
        // Read only where it matters: most of the time no record knows a later term.
        while (observed.segments.some((s) => s.term > term)) {
          const verdict = judgeTerm(term, await this.#options.store.leaderTerm(), observed.segments);
          isOver = verdict === "lost";
          if (isOver) return;
          term = await this.#takeTerm(signal);
          bus.emit("leader:elected", { term });
        }
        // Pods take longest to come: they are asked for before anything is written about segments.
        autoscaler?.onObserved(observed);
        steps = this.#plan(observed);
        await this.#writes.run(steps.map((step) => [step.segment, () => this.#take(step, term)]));
        const seen = steps.length === 0 ? observed : await this.#observing.observe();
        if (steps.length > 0) autoscaler?.onObserved(seen);
        await this.#telling.tell(seen, term, autoscaler?.told());
        isOver = steps.length === 0 && this.#writes.isEmpty && this.#shouldResign(observed);
      });
      if (isOver) return;
      // A step may call for the next one (create, then assign): look again soon, else wait for news. The first hint
      // after a quiet time acts at once; those that follow it are gathered.
      await clock.sleep(steps.length > 0 ? NEXT_STEP_MS : DEBOUNCE_MS, signal).catch(() => {});
      if (steps.length > 0) continue;
      const patienceMs = this.#observing.patienceLeftMs(policy);
      await this.#assign.wait(clock, this.#admitting.isMerged ? Math.min(checkIntervalMs, patienceMs) : UNMERGED_MS, signal);
    }
  }

  /** Who leaves begins no move: bots that run can wait for the next leader's plan. */
  #plan(observed: Observed): AssignmentStep[] {
    const { policy, leaving } = this.#options;
    const steps = planAssignment(observed, policy).filter(({ segment }) => !this.#writes.has(segment));
    return leaving?.aborted === true ? steps.filter(({ kind }) => kind !== "announce" && kind !== "revoke") : steps;
  }

  #shouldResign(observed: Observed): boolean {
    const { leaving, sessions } = this.#options;
    if (leaving?.aborted === true) return !hasMoveInHand(observed);
    return sessions !== undefined && shouldHandOver(observed, sessions.seasoned());
  }

  async #take(step: AssignmentStep, term: number): Promise<void> {
    // Read again as it is now, and as it is once the answer is here, whatever that says.
    this.#books.touch(step.segment);
    try {
      const outcome = await this.#write(step, term);
      this.#options.bus.emit(outcome === "missed" ? "assignment:missed" : "assignment:stepped", { step });
    } finally {
      this.#books.touch(step.segment);
    }
  }

  #write(step: AssignmentStep, term: number): Promise<"won" | "missed" | "inserted" | "exists"> {
    const { store, clock } = this.#options;
    if (step.kind !== "create") return store.apply(operationOf(step, term));
    // Epochs begin at the Unix time: a segment whose record was lost never goes below an epoch already seen.
    const epoch = Math.floor(clock.wall().getTime() / 1_000);
    return store.insert("segments", { _id: step.segment, state: "free", owner: null, epoch, term, target: null });
  }

  #tolerate(loop: string, round: () => Promise<void>): Promise<unknown> {
    return tolerate(round, (error) => this.#options.bus.emit("round:failed", { loop, error }));
  }
}
