import type { BotSpec, FoundDocument, ImagePullPolicy } from "../core/bot.ts";
import type { Actual, Container, StartReason } from "../core/containers.ts";
import type { BotId, ContainerId, Epoch, SegmentId, SessionId, SpecHash } from "../core/ids.ts";
import type { Ledger } from "../core/ledger.ts";
import type { FleetRecord, PlacementRecord, RunRecord, SegmentRecord, StatusRecord } from "../core/records.ts";
import type { Renewals } from "./renewer.ts";

/** What a worker needs of MongoDB. Every method throws StoreUnreachableError when no answer came in time. */
export interface WorkerStore extends Ledger, Renewals {
  fleet(): Promise<FleetRecord | undefined>;
  /** Segments that `sid` owns or will get by a move, and those named in `held` whoever owns them. */
  ownedSegments(sid: SessionId, held: readonly SegmentId[]): Promise<readonly SegmentRecord[]>;
  /** Active placements of these segments, in batches of at most 500. */
  activePlacements(segments: readonly SegmentId[], signal: AbortSignal): AsyncIterable<readonly PlacementRecord[]>;
  /** At most two documents for one id: a string and the ObjectId that it spells. */
  findBots(ids: readonly BotId[]): Promise<readonly FoundDocument[]>;
  findPlacements(ids: readonly BotId[]): Promise<readonly PlacementRecord[]>;
  findStatuses(ids: readonly BotId[]): Promise<readonly StatusRecord[]>;
  /** Idempotent by the run's `_id`; keeps at most the newest 50 runs of a bot. */
  recordRun(run: RunRecord): Promise<void>;
}

/** All that a container is made from. */
export type StartOrder = {
  readonly bot: BotId;
  readonly spec: BotSpec;
  readonly hash: SpecHash;
  readonly segment: SegmentId;
  readonly epoch: Epoch;
  readonly sid: SessionId;
  readonly why: StartReason;
};

export type EngineIdentity = { readonly id: string; readonly version: string; readonly apiVersion: string };

/** One Docker Engine. Every call has a time limit. @throws {EngineUnreachableError} when no answer came: what was asked
 *  may still happen, only an inspect tells. @throws {EngineRefusedError} when the answer was no. */
export interface Engine {
  identify(): Promise<EngineIdentity>;
  ping(): Promise<void>;
  /** Every container that carries our label, created and exited ones too. */
  list(): Promise<readonly Container[]>;
  /** What the bot's name holds, with the exit of an exited container. */
  inspect(bot: BotId): Promise<Actual>;
  /** Has the image here, pulled as the policy says; one pull per image at a time, shared by all callers. With `always`
   *  an image that is here will do when it cannot be pulled. @throws {ImageUnavailableError} */
  ensureImage(image: string, policy: ImagePullPolicy, signal: AbortSignal): Promise<void>;
  /** Removes images that it pulled itself, and that for some time neither a container used nor `wanted` named. */
  collectImages(wanted: ReadonlySet<string>): Promise<void>;
  /** Makes the container and its config file; starts nothing. A taken name is refused with status 409.
   *  @throws {NameHeldError} when the name is refused though nothing has it */
  create(order: StartOrder): Promise<ContainerId>;
  /** Success as well when it runs already. */
  start(container: ContainerId): Promise<void>;
  /** Returns when the container runs no more: SIGTERM, the grace, then SIGKILL. Success as well when it is gone. */
  stop(container: ContainerId, graceSeconds: number): Promise<void>;
  /** Removes it with its volumes and its config file, by force. Success as well when it is gone. */
  remove(container: Container): Promise<void>;
  /** The last lines it wrote to stdout and stderr, at most `maxBytes`. */
  logTail(container: ContainerId, maxBytes: number): Promise<string>;
  /** Calls `onHint` with the bot a container event is about, or with nothing when events may have been missed.
   *  Returns when the signal aborts; a broken stream is opened again. */
  watch(onHint: (bot: BotId | undefined) => void, signal: AbortSignal): Promise<void>;
}
