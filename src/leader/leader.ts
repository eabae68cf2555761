import type { AssignmentPolicy } from "../core/assignment.ts";
import type { Clock } from "../core/clock.ts";
import type { BotId, SessionId } from "../core/ids.ts";
import type { ChangeFeed } from "../core/ledger.ts";
import { Bell } from "../process/bell.ts";
import { tolerate } from "../process/retry.ts";
import { runGroup } from "../process/run-group.ts";
import type { Admission } from "./admission.ts";
import { Admitting } from "./admitting.ts";
import { Assigning } from "./assigning.ts";
import type { Autoscaler } from "./autoscaler.ts";
import { Books } from "./books.ts";
import type { EndableStore } from "./endable-store.ts";
import type { LeaderBus } from "./events.ts";
import type { LeaseSweep } from "./lease-sweep.ts";
import { Observing } from "./observing.ts";
import type { Sessions } from "./sessions.ts";
import { takeTerm } from "./take-term.ts";
import { Telling } from "./telling.ts";

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
  readonly #assigning: Assigning;
  readonly #looked = new Bell();

  constructor(options: LeaderOptions) {
    this.#options = options;
    this.#books = new Books(options.store);
    this.#observing = new Observing(options, this.#books);
    this.#admitting = new Admitting({ ...options, onNews: (bots) => this.#admitted(bots) });
    const { sid, sessions } = options;
    this.#telling = new Telling({ ...options, sid, hasReaders: sessions !== undefined, headless: () => sessions?.headless() ?? [] });
    const parts = { books: this.#books, observing: this.#observing, admitting: this.#admitting, telling: this.#telling };
    this.#assigning = new Assigning({ ...options, ...parts });
  }

  /** The last figures and their age in ms; none before the first full observation. */
  latest(): ReturnType<Telling["latest"]> {
    return this.#telling.latest();
  }

  /** The sessions were looked at; `isNews`: with another result than before. */
  onLook(isNews: boolean): void {
    this.#looked.ring();
    if (isNews) this.#assigning.look();
  }

  /** Our own writes: the feed would tell of them as well, and later. */
  #admitted(bots: readonly BotId[]): void {
    this.#books.onPlacements({ kind: "some", ids: bots });
    this.#assigning.look();
  }

  /** Leads until the signal aborts, or until somebody else had better lead: with a later term, with sight of the books, or
   *  without segments of its own. */
  async run(signal: AbortSignal): Promise<void> {
    const { store, feed, bus, autoscaler, sweep, sessions } = this.#options;
    store.endWith(signal);
    for (const part of [this.#admitting, this.#telling, this.#books]) part.forget();
    const term = await takeTerm(this.#options, signal);
    this.#observing.begin();
    bus.emit("leader:elected", { term });
    if (sessions !== undefined) sessions.isLeading = true;
    try {
      await runGroup(
        [
          (s) => (store.endWith(s), this.#admitting.run(s)),
          (s) => this.#assigning.run(term, s),
          (s) => this.#endLoop(s),
          ...[autoscaler, sweep].flatMap((part) => (part === undefined ? [] : [(s: AbortSignal) => part.run(s)])),
          (s) => feed.watch("bots", (hint) => this.#admitting.onHint(hint), s),
          (s) => feed.watch("placements", (hint) => (this.#books.onPlacements(hint), this.#assigning.look()), s),
          (s) => feed.watch("segments", (hint) => (this.#books.onSegments(hint), this.#assigning.look()), s),
        ],
        signal,
      );
    } finally {
      // Leadership is given back only when nothing that was written in its name is still on its way.
      await this.#assigning.ended();
      if (sessions !== undefined) sessions.isLeading = false;
      this.#telling.forget();
      bus.emit("leader:resigned", { term });
    }
  }

  /** Ends silent sessions. Returns when this process should lead no more. */
  async #endLoop(signal: AbortSignal): Promise<void> {
    const { clock, bus, sessions, checkIntervalMs } = this.#options;
    const onFault = (error: unknown): void => void bus.emit("round:failed", { loop: "sessions", error });
    while (!signal.aborted) {
      if (sessions?.hasFailed === true) return;
      await tolerate(async () => {
        if ((await sessions?.endSilent()) === true) this.#assigning.look();
      }, onFault);
      await this.#looked.wait(clock, checkIntervalMs, signal);
    }
  }
}
