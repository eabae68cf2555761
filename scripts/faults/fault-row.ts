// What a row of the fault table is, whatever it happens to.
import type { Bounds } from "./bounds.ts";
import type { FaultFleet } from "./fleet.ts";
import type { Occurrence, Scene } from "./scene.ts";
import type { Seat } from "./seat.ts";
import type { Named, Stage } from "./stage.ts";

/** Makes one occurrence happen to the seat, and mends what it broke before or after it returns its measure. */
export type Act<F extends Stage = FaultFleet, S extends Named = Seat> = (scene: Scene<F>, seat: S) => Promise<Played>;
export type Played = Occurrence & {
  /** Brings the seat back. Runs after the measured stretch; the fleet must settle after it. */
  readonly mend?: () => Promise<void>;
};

/** A row as people read it. */
export type RowText = {
  readonly number: string;
  readonly fault: string;
  readonly how: string;
  readonly expected: string;
  /** Bound as a formula, for people. */
  readonly formula: string;
};

export type FaultRow<F extends Stage = FaultFleet, S extends Named = Seat> = RowText & {
  /** Occurrences that are published. */
  readonly n: number;
  /** How many may happen at once, to different workers; the others must carry their bots. */
  readonly atOnce: 1 | 2;
  /** `owner`: a worker with bots that does not lead; `leader`; `node`: a worker with bots on a node where nobody leads, and with it
   *  all of that node's; `any`: it happens to all. */
  readonly victim: "owner" | "leader" | "node" | "any";
  /** No bot may be restarted by it, whoever's it is. */
  readonly restartsNone: boolean;
  /** Longest time without a run, in ms. `bots`: how many have to start at once. */
  readonly boundMs: (bounds: Bounds, bots: number) => number;
  /** One after the other, round by round. */
  readonly acts: readonly Act<F, S>[];
  /** Whole lives are told apart by their silences, and what runs twice after one is published: for so long at most, in ms. Without
   *  it nothing may run twice. */
  readonly thawMs?: (bounds: Bounds) => number;
};
