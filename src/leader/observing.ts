import type { AssignmentPolicy, Observed } from "../core/assignment.ts";
import type { Clock } from "../core/clock.ts";
import type { SessionId } from "../core/ids.ts";
import { type Announced, type Leaving, patienceLeftMs, trackAnnounced, trackLeaving, trackWaiting, type Waiting } from "../core/waiting.ts";
import type { Autoscaler } from "./autoscaler.ts";
import type { Books } from "./books.ts";
import type { LeaderStore } from "./ports.ts";
import type { Sessions } from "./sessions.ts";

/** As for the leader. */
export type ObservingOptions = {
  readonly store: LeaderStore;
  readonly clock: Clock;
  readonly sid?: SessionId;
  readonly sessions?: Sessions;
  readonly autoscaler?: Autoscaler;
  readonly fleet?: string;
};

/** What the leader sees of its fleet, and since when it has seen what does not last. */
export class Observing {
  readonly #options: ObservingOptions;
  readonly #books: Books;
  #waiting: Waiting = new Map();
  #announced: Announced = new Map();
  #leaving: Leaving = new Map();

  constructor(options: ObservingOptions, books: Books) {
    this.#options = options;
    this.#books = books;
  }

  /** A new term counts anew for how long segments have waited. */
  begin(): void {
    this.#waiting = new Map();
  }

  async observe(): Promise<Observed> {
    const { store, clock, sid: leader, fleet, sessions, autoscaler } = this.#options;
    const [{ active, segments }, all] = await Promise.all([this.#books.read(), store.workers()]);
    const workers = fleet === undefined ? all : all.filter((w) => w.fleet === fleet);
    const seen = { active, segments, workers, ...(leader !== undefined && { leader }) };
    const now = clock.mono();
    this.#waiting = trackWaiting(this.#waiting, seen, now);
    this.#announced = trackAnnounced(this.#announced, segments, now);
    this.#leaving = trackLeaving(this.#leaving, seen, now);
    const ages = (tracked: Announced | Leaving) => new Map([...tracked].map(([id, { since }]) => [id, now - since]));
    const [announced, leaving] = [ages(this.#announced), ages(this.#leaving)];
    const suspects = sessions?.suspects();
    const facts = autoscaler?.facts(workers);
    return { ...seen, ...facts, waiting: this.#waiting, announced, leaving, ...(suspects !== undefined && { suspects }) };
  }

  /** Until something that was seen has lasted for long enough to be acted on, in ms; Infinity where nothing waits. */
  patienceLeftMs({ patienceMs, lostPatienceMs, pullPatienceMs = Infinity }: AssignmentPolicy): number {
    const left = patienceLeftMs(this.#waiting, [patienceMs, lostPatienceMs]) ?? Infinity;
    return Math.min(left, this.#announced.size > 0 ? pullPatienceMs : Infinity);
  }
}
