// What faults happen to: a fleet that can be watched, whoever keeps its workers. One is made of processes on this machine
// (fleet.ts), one of pods in a cluster (cluster/stage.ts).
import type { SegmentRecord, StatusRecord, WorkerRecord } from "../../src/core/records.ts";
import type { Bounds } from "./bounds.ts";
import type { Lag } from "./lag-meter.ts";
import type { Run } from "./runs.ts";

/** A worker as faults find it: a seat of the rig, or a pod. */
export type Named = { readonly name: string };

/** What the fleet's own database says of it. */
export type Books = {
  readonly workers: readonly WorkerRecord[];
  readonly segments: readonly SegmentRecord[];
  readonly statuses: readonly StatusRecord[];
  /** The session that holds the lease of leadership. */
  readonly leader: string | null;
};

export type Placement = { readonly _id: string; readonly segment: number };

export interface Stage<S extends Named = Named> {
  readonly bounds: Bounds;
  readonly bots: readonly string[];
  /** Between two datagrams of a bot, in ms. */
  readonly everyMs: number;
  /** Now, as the beacons' clock tells it, in ms. */
  readonly now: () => number;
  readonly runs: () => Promise<Run[]>;
  readonly books: () => Promise<Books>;
  /** The workers that are there now. */
  readonly workers: () => Promise<readonly S[]>;
  /** The worker whose living session leads. */
  readonly leader: () => Promise<S | undefined>;
  /** The bots whose segment a worker's living session owns, by the name of the worker. */
  readonly botsBySeat: () => Promise<ReadonlyMap<string, readonly string[]>>;
  /** Waits until nothing is left to do, twice in a row. @throws {Error} with what is left to do. */
  readonly waitSettled: (limitMs: number) => Promise<void>;
  /** What was measured since the last call. */
  readonly measureLag: () => Promise<Lag>;
  /** Lets go of what is known of lives that ended long ago. */
  readonly forget: () => Promise<unknown>;
  /** Invariants that were seen broken since the last call; lives are all that is known of. */
  readonly takeBreaches?: (runs: readonly Run[]) => string[];
  /** Has the workers lie elsewhere, where it is so that there are no victims for what is to be played. */
  reshuffle?(): Promise<void>;
  /** Brings back a worker whose fault could not be played to its end. */
  revive(seat: S): Promise<void>;
}

/** The bots of each worker's living session by the worker's name. */
export function botsByPod({ workers, segments }: Books, placements: readonly Placement[], names: readonly string[]): Map<string, string[]> {
  const pod = new Map(workers.map(({ _id, pod: name }) => [_id as string, name]));
  const owner = new Map(segments.map((s) => [s._id as number, s.owner === null ? undefined : pod.get(s.owner)]));
  const found = new Map<string, string[]>(names.map((name) => [name, []]));
  for (const { _id, segment } of placements) found.get(owner.get(segment) ?? "")?.push(_id);
  return found;
}

/** The clock of the beacons, CLOCK_BOOTTIME in ms: CLOCK_MONOTONIC is the same on a machine that did not sleep. */
export const bootTimeMs = (): number => Number(process.hrtime.bigint()) / 1e6;
