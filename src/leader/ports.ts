import type { FoundDocument } from "../core/bot.ts";
import type { BotId, SegmentId } from "../core/ids.ts";
import type { Ledger } from "../core/ledger.ts";
import type { FleetRecord, FleetView, PlacementRecord, SegmentRecord, WorkerRecord } from "../core/records.ts";

/** What the leader needs of MongoDB. Every method throws StoreUnreachableError when no answer came in time. */
export interface LeaderStore extends Ledger {
  /** The user's documents whose `_id` is a string, in the order of `compareIds`; a cursor, never the whole collection. */
  stringBots(signal: AbortSignal): AsyncIterable<FoundDocument>;
  /** The same for ObjectIds, in the order of their hex form. */
  objectIdBots(signal: AbortSignal): AsyncIterable<FoundDocument>;
  /** Documents whose `_id` is neither: they can only be reported. */
  otherBots(signal: AbortSignal): AsyncIterable<FoundDocument>;
  /** All placements in the order of `compareIds`. */
  allPlacements(signal: AbortSignal): AsyncIterable<PlacementRecord>;
  /** Inserts those that are not there yet and leaves the others as they are. At most 1,000 at a time. */
  insertPlacements(records: readonly PlacementRecord[]): Promise<void>;
  /** At most two documents for one id: a string and the ObjectId that it spells. */
  findBots(ids: readonly BotId[]): Promise<readonly FoundDocument[]>;
  findPlacements(ids: readonly BotId[]): Promise<readonly PlacementRecord[]>;
  /** Segments with at least one active placement: all such, or those among `some`. */
  activeSegments(some?: readonly SegmentId[]): Promise<readonly SegmentId[]>;
  /** All segments, or those named. */
  segments(some?: readonly SegmentId[]): Promise<readonly SegmentRecord[]>;
  workers(): Promise<readonly WorkerRecord[]>;
  /** Whose database it is. */
  fleet(): Promise<FleetRecord | undefined>;
  /** The term in `control.leader`; undefined before the first leader. */
  leaderTerm(): Promise<number | undefined>;
  /** Documents reported as `invalid`. */
  countInvalid(): Promise<number>;
  /** Replaces `runtime.fleet`, what every process may tell of the leader's view, unless a later leader has said something. */
  publishFleet(view: FleetView): Promise<void>;
  /** What a leader told last. */
  fleetView(): Promise<FleetView | undefined>;
}
