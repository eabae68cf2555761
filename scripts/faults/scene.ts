// What faults are made of: waits for what the fleet should come to. Every wait has a limit and says what it waited for.
import { setTimeout as sleep } from "node:timers/promises";

import { until } from "../lib/command.ts";
import type { FaultFleet } from "./fleet.ts";
import type { Run } from "./runs.ts";
import type { Books, Named, Stage } from "./stage.ts";

/** What one occurrence of a fault left to be measured. */
export type Occurrence = {
  /** Whose time without a run counts; none: nothing but duplicates can be told. */
  readonly bots: readonly string[];
  /** Where the measured stretch ends, on the beacons' clock: the fault is over for these bots. */
  readonly closedAt: number;
  /** What should have been and was not. */
  readonly faults: readonly string[];
  /** Where this variant has another bound than its row, in ms. */
  readonly boundMs?: number;
  /** Bots that this fault may stop, though the row's others may not: they have a bound of their own. Not among `bots`. */
  readonly apart?: Apart;
  /** Anything else that was measured, in ms, by what it is. */
  readonly also?: Readonly<Record<string, number>>;
};

type Apart = {
  readonly what: string;
  readonly bots: readonly string[];
  readonly boundMs: number;
  /** Where it is over for them at another moment. */
  readonly closedAt?: number;
};

const LOOK_MS = 100;
/** Where nothing is timed by the look, for it would slow down what it waits for. */
export const CALM_LOOK_MS = 500;
/** Over its bound by so much a wait is given up: the bound is judged by what was measured, not by this. */
const SPARE_MS = 45_000;

export class Scene<F extends Stage = FaultFleet> {
  readonly fleet: F;
  /** Long outages are cut short to what the fault needs. */
  readonly isShort: boolean;
  readonly random: () => number;
  /** Rises with each round, for rows that have variants. */
  readonly round: number;

  constructor(fleet: F, options: { readonly isShort: boolean; readonly random: () => number; readonly round: number }) {
    this.fleet = fleet;
    this.isShort = options.isShort;
    this.random = options.random;
    this.round = options.round;
  }

  /** A time of ownership.md in this run's profile. */
  ms(ms: number): number {
    return ms * this.fleet.bounds.factor;
  }

  pause(ms: number): Promise<void> {
    return sleep(ms);
  }

  /** Polls until the look gives a value. @throws {Error} */
  see<T>(what: string, limitMs: number, look: () => Promise<T | undefined>, everyMs = LOOK_MS): Promise<T> {
    return until(what, limitMs, look, everyMs);
  }

  /** The living session of a seat. */
  async session(seat: Named): Promise<Books["workers"][number]> {
    return this.see(`a living session of ${seat.name}`, 60_000, async () => livingOf(await this.fleet.books(), seat));
  }

  /** What is wrong with who lives at the seat, when that should be the same session still. */
  async otherSession(seat: Named, sid: string): Promise<string[]> {
    return (await this.session(seat))._id === sid ? [] : [`${seat.name} has another session, expected the same`];
  }

  /** What must be known of a seat before its session is ended: who moves, and since when. */
  async before(seat: Named): Promise<{ bots: readonly string[]; sid: string; since: number }> {
    const [bots, { _id: sid }] = await Promise.all([this.botsOf(seat), this.session(seat)]);
    return { bots, sid, since: this.fleet.now() };
  }

  async botsOf(seat: Named): Promise<readonly string[]> {
    return (await this.fleet.botsBySeat()).get(seat.name) ?? [];
  }

  /** Waits until the session has ended, or all of them, their segments have other owners and each of the bots sends from a life
   *  that began since. */
  async takenOver(sid: string | readonly string[], bots: readonly string[], since: number, boundMs: number): Promise<number> {
    const sids: readonly string[] = [sid].flat();
    const look = async () => {
      const { workers, segments } = await this.fleet.books();
      const isOver = workers.every(({ _id, state }) => !sids.includes(_id) || state === "dead" || state === "gone");
      return (isOver && segments.every(({ owner }) => owner === null || !sids.includes(owner))) || undefined;
    };
    await this.see(`the end of session ${sids.join(", ")} and another owner`, boundMs + SPARE_MS, look, CALM_LOOK_MS);
    return this.running(bots, boundMs + SPARE_MS, since);
  }

  /** Waits until each bot sends, from a life that began after `since`. Returns the time on the beacons' clock, by which they do. */
  async running(bots: readonly string[], limitMs: number, since = Number.NEGATIVE_INFINITY): Promise<number> {
    const look = async () => {
      const now = this.fleet.now();
      const fresh = (await this.fleet.runs()).filter((run) => run.first > since && this.isFresh(run, now));
      const alive = new Map(fresh.map(({ bot, first }) => [bot, first]));
      return bots.every((bot) => alive.has(bot)) ? bots.map((bot) => alive.get(bot) ?? 0) : undefined;
    };
    const began = await this.see(`${bots.length} bots running`, limitMs, look, CALM_LOOK_MS);
    return Math.max(this.fleet.now(), ...began);
  }

  isFresh({ last }: Run, now: number): boolean {
    return now - last < Math.max(300, 5 * this.fleet.everyMs);
  }
}

function livingOf({ workers }: Books, { name }: Named): Books["workers"][number] | undefined {
  return workers.find(({ pod, state }) => pod === name && (state === "up" || state === "draining"));
}
