import type { Observed } from "../core/assignment.ts";
import type { Clock } from "../core/clock.ts";
import { type Figures, figuresOf, oldestHandOverMs, sharedSegments } from "../core/figures.ts";
import { idleWorkers } from "../core/hand-over.ts";
import type { SessionId } from "../core/ids.ts";
import type { FleetView, HeadlessWorker } from "../core/records.ts";
import type { LeaderBus } from "./events.ts";
import type { LeaderStore } from "./ports.ts";

export type TellingOptions = {
  readonly store: LeaderStore;
  readonly clock: Clock;
  readonly bus: LeaderBus;
  readonly checkIntervalMs: number;
  /** Who leads, for `runtime.fleet`. */
  readonly worker: string;
  readonly sid: SessionId | undefined;
  /** Whether other processes tell our figures, too: then the view is written again though nothing in it is new, so that they
   *  can tell an old one from one that still holds. */
  readonly hasReaders: boolean;
  /** Workers that live by their Lease alone. */
  readonly headless: () => readonly HeadlessWorker[];
};

type Scaling = Required<Pick<FleetView, "bounds" | "missing">> & Pick<FleetView, "lastScaling" | "countOwner">;

/** The leader's word on the fleet: the figures here, and `runtime.fleet` for everybody else. */
export class Telling {
  readonly #options: TellingOptions;
  #figures: { readonly figures: Figures; readonly atMs: number } | undefined;
  #published: { readonly view: string; readonly atMs: number } | undefined;
  #seq = 0;

  constructor(options: TellingOptions) {
    this.#options = options;
  }

  /** The last figures and their age in ms; none before the first full observation. */
  latest(): { readonly figures: Figures; readonly ageMs: number } | undefined {
    if (this.#figures === undefined) return undefined;
    return { figures: this.#figures.figures, ageMs: this.#options.clock.mono() - this.#figures.atMs };
  }

  /** What was told is of an earlier leadership. */
  forget(): void {
    this.#figures = undefined;
    this.#published = undefined;
  }

  /** @param term of this leadership @throws {StoreUnreachableError} */
  async tell(observed: Observed, term: number, scaling: Scaling | undefined): Promise<void> {
    const { store, clock, bus, worker, sid, hasReaders, checkIntervalMs, headless: headlessWorkers } = this.#options;
    const figures = figuresOf(observed);
    this.#figures = { figures, atMs: clock.mono() };
    const invalid = await store.countInvalid();
    bus.emit("figures:observed", { figures, shared: sharedSegments(observed), invalid, handOverMs: oldestHandOverMs(observed) });
    const idle = idleWorkers(observed);
    const headless = headlessWorkers();
    const view = JSON.stringify([figures, idle, headless, scaling]);
    if (view === this.#published?.view && (!hasReaders || clock.mono() - this.#published.atMs < checkIntervalMs)) return;
    const past = await store.fleetView();
    this.#seq = Math.max(this.#seq, past?.seq ?? 0) + 1;
    const lastScaling = scaling?.lastScaling ?? past?.lastScaling;
    const countOwner = scaling?.countOwner ?? past?.countOwner;
    await store.publishFleet({
      _id: "fleet",
      leader: worker,
      sid: sid ?? null,
      term,
      seq: this.#seq,
      ...figures,
      idle,
      ...(headless.length > 0 && { headless }),
      ...(scaling !== undefined && { bounds: scaling.bounds, missing: scaling.missing }),
      ...(lastScaling !== undefined && { lastScaling }),
      ...(countOwner !== undefined && { countOwner }),
      observedAt: clock.wall(),
    });
    this.#published = { view, atMs: clock.mono() };
  }
}
