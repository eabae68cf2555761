import { ALONE, type AssignmentPolicy, type AssignmentStep, type Observed, operationOf, planAssignment } from "../core/assignment.ts";
import { hasMoveInHand, shouldHandOver } from "../core/hand-over.ts";
import type { SegmentId } from "../core/ids.ts";
import { judgeTerm } from "../core/term.ts";
import { Bell } from "../process/bell.ts";
import { CallsInHand } from "../process/calls-in-hand.ts";
import { tolerate } from "../process/retry.ts";
import type { Admitting } from "./admitting.ts";
import type { Autoscaler } from "./autoscaler.ts";
import type { Books } from "./books.ts";
import type { Observing } from "./observing.ts";
import type { Sessions } from "./sessions.ts";
import { takeTerm, type TermParts } from "./take-term.ts";
import type { Telling } from "./telling.ts";

/** Hints are gathered this long before the leader acts. Source: design.md section 5. */
const DEBOUNCE_MS = 250;
const NEXT_STEP_MS = 20;
/** How often it is looked whether the first merge is through, should nobody say so. */
const UNMERGED_MS = 1_000;
/** Steps that are written at the same time, each about another segment, and how long a round waits for word of them, in ms. */
const WIDTH = 16;
const STEP_PATIENCE_MS = 500;

/** As for the leader, and its other parts. */
export type AssigningOptions = TermParts & {
  readonly checkIntervalMs: number;
  readonly sessions?: Sessions;
  readonly autoscaler?: Autoscaler;
  readonly policy?: AssignmentPolicy;
  readonly leaving?: AbortSignal;
  readonly books: Books;
  readonly observing: Observing;
  readonly admitting: Admitting;
  readonly telling: Telling;
};

/** The leader's rounds over the segments: observe, plan, write, tell. */
export class Assigning {
  readonly #options: AssigningOptions;
  readonly #writes: CallsInHand<SegmentId>;
  readonly #news = new Bell();

  constructor(options: AssigningOptions) {
    this.#options = options;
    const onLate = (error: unknown): void => this.#onLate(error);
    this.#writes = new CallsInHand({ clock: options.clock, patienceMs: STEP_PATIENCE_MS, width: WIDTH, onLate });
  }

  /** There is something to plan for, perhaps. */
  look(): void {
    this.#news.ring();
  }

  /** Resolves once no write is on its way any more. */
  ended(): Promise<void> {
    return this.#writes.ended();
  }

  /** Plans until the signal aborts or leadership is better placed elsewhere. */
  async run(elected: number, signal: AbortSignal): Promise<void> {
    const {
      store,
      clock,
      bus,
      checkIntervalMs,
      sessions,
      autoscaler,
      policy = ALONE,
      observing,
      admitting,
      telling,
      leaving,
    } = this.#options;
    leaving?.addEventListener("abort", () => this.look(), { signal });
    let term = elected;
    while (!signal.aborted) {
      let steps: AssignmentStep[] = [];
      let isOver = false;
      await this.#tolerate(async () => {
        // Nothing is planned for a fleet that was not fully read.
        if (!admitting.isMerged) return;
        const observed = await observing.observe();
        // Nor is anything given away that an earlier life may still run; but more pods may come meanwhile.
        if (sessions?.isSettled() === false) return autoscaler?.onObserved(observed, { mayShrink: false });
        // Read only where it matters: most of the time no record knows a later term.
        while (observed.segments.some((s) => s.term > term)) {
          const verdict = judgeTerm(term, await store.leaderTerm(), observed.segments);
          isOver = verdict === "lost";
          if (isOver) return;
          term = await takeTerm(this.#options, signal);
          bus.emit("leader:elected", { term });
        }
        // Pods take longest to come: they are asked for before anything is written about segments.
        autoscaler?.onObserved(observed);
        steps = this.#plan(observed);
        await this.#writes.run(steps.map((step) => [step.segment, () => this.#take(step, term)]));
        const seen = steps.length === 0 ? observed : await observing.observe();
        if (steps.length > 0) autoscaler?.onObserved(seen);
        await telling.tell(seen, term, autoscaler?.told());
        isOver = steps.length === 0 && this.#writes.isEmpty && this.#shouldResign(observed);
      });
      if (isOver) return;
      // A step may call for the next one (create, then assign): look again soon, else wait for news. The first hint
      // after a quiet time acts at once; those that follow it are gathered.
      await clock.sleep(steps.length > 0 ? NEXT_STEP_MS : DEBOUNCE_MS, signal).catch(() => {});
      if (steps.length > 0) continue;
      const patienceMs = observing.patienceLeftMs(policy);
      await this.#news.wait(clock, admitting.isMerged ? Math.min(checkIntervalMs, patienceMs) : UNMERGED_MS, signal);
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
    this.#options.books.touch(step.segment);
    try {
      const outcome = await this.#write(step, term);
      this.#options.bus.emit(outcome === "missed" ? "assignment:missed" : "assignment:stepped", { step });
    } finally {
      this.#options.books.touch(step.segment);
    }
  }

  #write(step: AssignmentStep, term: number): Promise<"won" | "missed" | "inserted" | "exists"> {
    const { store, clock } = this.#options;
    if (step.kind !== "create") return store.apply(operationOf(step, term));
    // Epochs begin at the Unix time: a segment whose record was lost never goes below an epoch already seen.
    const epoch = Math.floor(clock.wall().getTime() / 1_000);
    return store.insert("segments", { _id: step.segment, state: "free", owner: null, epoch, term, target: null });
  }

  /** A round went on without the answer to a step of its. */
  #onLate(error: unknown): void {
    if (error !== undefined) this.#told(error);
    this.look();
  }

  #tolerate(round: () => Promise<void>): Promise<unknown> {
    return tolerate(round, (error) => this.#told(error));
  }

  #told(error: unknown): void {
    this.#options.bus.emit("round:failed", { loop: "assignment", error });
  }
}
