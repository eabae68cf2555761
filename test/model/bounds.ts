import { brokenTimings, type Timings } from "../../src/core/timings.ts";

/** How far the search looks. Everything else is open: no step of a worker or a leader is ever forced to happen. */
export type Bounds = {
  readonly timings: Timings;
  /** Ticks. */
  readonly horizon: number;
  /** Processes killed and pods lost. */
  readonly deaths: number;
  /** Replies lost or delayed, requests that land late. */
  readonly faults: number;
  /** Of these, how many requests may be under way at the same time with nobody waiting for them. */
  readonly late: number;
  /** Planned moves and drains. */
  readonly moves: number;
  /** The last epoch that is given away. */
  readonly epochs: number;
  /** How often somebody else begins to believe that it leads. */
  readonly elections: number;
  /** Whether a session may live by a Lease as well. */
  readonly leases: boolean;
};

/** One tick is one renewal. Each distance is the least whole number of ticks that the inequalities leave; the search has no
 *  drift, so L exceeds W + K by the one tick that `brokenTimings` asks for. */
const TIMINGS: Timings = { renewMs: 1, callMs: 0.5, softMs: 2, stopMs: 3, fenceMs: 4, killMs: 1, endMs: 6 };
if (brokenTimings(TIMINGS).length > 0) throw new RangeError("Cannot search with timings that break the protocol's own rules");

const common = { timings: TIMINGS, horizon: 3 * TIMINGS.endMs, epochs: 5, elections: 1, moves: 0, late: 0, leases: false };
export const CONFIGURATIONS = {
  /** Two lost replies, at whatever write, two deaths, two leaders. */
  lost: { ...common, deaths: 2, faults: 2 },
  /** Requests that land after their caller has gone on. */
  late: { ...common, deaths: 2, faults: 1, late: 1 },
  /** Planned moves and drains. Here a third epoch is the last. */
  moves: { ...common, deaths: 1, faults: 1, late: 1, moves: 1, epochs: 3, elections: 0 },
  /** Two stores for liveness. */
  leases: { ...common, deaths: 1, faults: 1, late: 1, epochs: 4, elections: 0, leases: true },
} satisfies Record<string, Bounds>;
/** What the quick suite looks at. */
export const SMALL: readonly Bounds[] = [
  { ...common, deaths: 1, faults: 1, late: 1 },
  { ...common, deaths: 0, faults: 1, late: 1, moves: 1, epochs: 3, elections: 0 },
];
export type ConfigurationName = keyof typeof CONFIGURATIONS;
