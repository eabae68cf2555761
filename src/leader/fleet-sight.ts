import { after, type Clock, type MonoMs } from "../core/clock.ts";
import { type Figures, pickFigures } from "../core/figures.ts";
import type { SessionId } from "../core/ids.ts";
import type { FleetView } from "../core/records.ts";
import type { LeaderBus } from "./events.ts";

export type FleetSightOptions = {
  readonly clock: Clock;
  readonly bus: LeaderBus;
  readonly self: SessionId;
};

/** What some leader told last of the whole fleet, as every process sees it. */
export class FleetSight {
  readonly #options: FleetSightOptions;
  #seen: { readonly view: FleetView; readonly since: MonoMs } | undefined;

  constructor(options: FleetSightOptions) {
    this.#options = options;
  }

  /** The figures, and how old they are, in ms. */
  latest(): { readonly figures: Figures; readonly ageMs: number } | undefined {
    if (this.#seen === undefined) return undefined;
    return { figures: pickFigures(this.#seen.view), ageMs: this.#options.clock.mono() - this.#seen.since };
  }

  /** Workers without segments. */
  idle(): ReadonlySet<SessionId> {
    return new Set(this.#seen?.view.idle);
  }

  /** Every process tells of scalings, for `kubectl logs` of a Deployment reads one arbitrary pod; the last one at its start, too. */
  saw(view: FleetView, now: MonoMs): void {
    const { bus, clock, self } = this.#options;
    if (this.#seen?.view.seq === view.seq) return;
    const { lastScaling, leader, sid } = view;
    const isNews = lastScaling !== undefined && lastScaling.at.getTime() !== this.#seen?.view.lastScaling?.at.getTime();
    if (isNews && sid !== self) bus.emit("scaled", { ...lastScaling, leader });
    // Only of the first view nobody here has seen when it came: then people's clocks have to do.
    const oldMs = this.#seen === undefined ? Math.max(0, clock.wall().getTime() - view.observedAt.getTime()) : 0;
    this.#seen = { view, since: after(now, -oldMs) };
  }
}
