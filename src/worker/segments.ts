import type { Clock, MonoMs } from "../core/clock.ts";
import type { BotId, Epoch, SegmentId, SessionId } from "../core/ids.ts";
import { releaseSegment } from "../core/operations.ts";
import type { SegmentRecord } from "../core/records.ts";
import { proveStopped, quietSegments } from "../core/stop-proof.ts";
import { mayStartIn, meetSegments, type Tenures } from "../core/tenure.ts";
import { CallsInHand } from "../process/calls-in-hand.ts";
import type { Bots } from "./bots.ts";
import type { DesiredBots } from "./desired.ts";
import type { WorkerBus } from "./events.ts";
import type { Engine, WorkerStore } from "./ports.ts";

/** Where it is written down, before the store is told, that a segment was released: a restarted process must not
 *  start a bot under an epoch that was already let go. */
export type ReleasedRecord = {
  epochOf(segment: SegmentId): Epoch | undefined;
  append(segment: SegmentId, epoch: Epoch): Promise<void>;
};

export type SegmentsOptions = {
  readonly store: WorkerStore;
  readonly engine: Engine;
  readonly desired: DesiredBots;
  readonly bots: Bots;
  readonly released: ReleasedRecord;
  readonly sid: SessionId;
  readonly clock: Clock;
  readonly bus: WorkerBus;
  /** Gets what a segment needs that will come to us by a move. */
  readonly preload: (record: SegmentRecord) => void;
  /** Called with bots before they are first looked at, to take over what was reported of them. */
  readonly onLoaded: (bots: readonly BotId[]) => Promise<void>;
  /** Called with all bots of newly owned segments before they are first looked at. */
  readonly onGained: (bots: readonly BotId[]) => Promise<void>;
};

/** Segments that are let go of at the same time, and how long a round waits for word of it, in ms. */
const RELEASE_WIDTH = 16;
const RELEASE_PATIENCE_MS = 500;
/** How long a drain waits for a move that was announced, in ms. */
const DRAIN_PULL_MS = 20_000;

/** A draining worker waits so long for word that a segment will be moved, and so long for the move, before it lets go by
 *  itself. Both in ms; the second lies below what a drain may take beyond the longest stop. */
export type MovePatience = { readonly announceMs: number; readonly pullMs: number };

/** `renewMs`: the pace of sessions and of the election. A leader that leaves in order is followed within some 4 of them: at most 1.25
 *  for what it has in hand, 1.2 until a candidate looks, and 1.7 for a busy one's step back. */
export function drainPatience(renewMs: number): MovePatience {
  return { announceMs: Math.min(5 * renewMs, DRAIN_PULL_MS), pullMs: DRAIN_PULL_MS };
}

/** The segments this worker owns, as `core/tenure` tells, and what follows from each change. */
export class OwnedSegments {
  readonly #options: SegmentsOptions;
  #tenures: Tenures = new Map();
  readonly #unloaded = new Set<SegmentId>();
  readonly #releases: CallsInHand<SegmentId>;
  #draining: { readonly since: MonoMs; readonly patience: MovePatience | undefined } | undefined;
  #complete = false;

  constructor(options: SegmentsOptions) {
    this.#options = options;
    const { clock, bus } = options;
    this.#releases = new CallsInHand({
      clock,
      patienceMs: RELEASE_PATIENCE_MS,
      width: RELEASE_WIDTH,
      onLate: (error) => error !== undefined && bus.emit("round:failed", { loop: "release", error }),
    });
  }

  /** Whether all that we own is known and read: until then no container may be called a stranger. */
  get isComplete(): boolean {
    return this.#complete && this.#unloaded.size === 0;
  }

  /** Whether everything is being given up. */
  get isDraining(): boolean {
    return this.#draining !== undefined;
  }

  /** What is ours and has not been read yet: none of its bots was looked at. */
  get unread(): readonly { readonly segment: SegmentId; readonly epoch: Epoch }[] {
    return [...this.#unloaded].flatMap((segment) => {
      const epoch = this.#tenures.get(segment)?.epoch;
      return epoch === undefined ? [] : [{ segment, epoch }];
    });
  }

  /** What is being let go of and has not been proven stopped yet. */
  get leaving(): readonly { readonly segment: SegmentId; readonly epoch: Epoch }[] {
    return [...this.#tenures].flatMap(([segment, { epoch, state }]) => (state === "leaving" ? [{ segment, epoch }] : []));
  }

  get size(): number {
    return this.#tenures.size;
  }

  /** The start gate's part: ours under that epoch, read, not leaving, and not an epoch that was released here before. */
  mayStart(segment: SegmentId, epoch: Epoch): boolean {
    return !this.isDraining && !this.#unloaded.has(segment) && mayStartIn(this.#tenures, this.#releasedEpoch, segment, epoch);
  }

  /** From now on everything is given up; the next round begins with it. With `patience`, bots run on until another worker
   *  is ready for them, where one is announced in time. */
  drain(patience?: MovePatience): void {
    this.#draining ??= { since: this.#options.clock.mono(), patience };
    this.leaveOverdue();
  }

  /** Whatever the store says or does not say, nothing is kept beyond its time: to be called at each look, before the store is asked. */
  leaveOverdue(): void {
    if (this.#draining === undefined) return;
    const { since, patience } = this.#draining;
    if (patience !== undefined && this.#options.clock.mono() - since < patience.pullMs) return;
    this.#leave([...this.#tenures].flatMap(([segment, { state }]) => (state === "held" ? [segment] : [])));
  }

  /** Whether a draining worker keeps this segment for a moment more. */
  readonly #awaitsMove = ({ target }: SegmentRecord): boolean => {
    if (this.#draining?.patience === undefined) return false;
    const { since, patience } = this.#draining;
    const waitedMs = this.#options.clock.mono() - since;
    return waitedMs < (target === null || target === this.#options.sid ? patience.announceMs : patience.pullMs);
  };

  /** One look at the store and one step towards it. @throws {StoreUnreachableError}, {EngineUnreachableError} */
  async round(signal: AbortSignal): Promise<void> {
    const { store, sid, preload } = this.#options;
    const records = await store.ownedSegments(sid, [...this.#tenures.keys()]);
    this.#meet(records);
    if (!this.isDraining) for (const record of records) if (record.target === sid && record.owner !== sid) preload(record);
    this.#complete = true;
    await this.#takeOver(signal);
    await this.#releaseLeaving();
  }

  /** Reads all bots of all owned segments again. What was known stays in force until the new reading is complete. */
  async reload(signal: AbortSignal): Promise<void> {
    const { desired, bots, onLoaded } = this.#options;
    const touched = await desired.load([...this.#tenures.keys()], signal);
    await onLoaded(touched);
    bots.request(touched);
  }

  #meet(records: readonly SegmentRecord[]): void {
    const { desired, bus } = this.#options;
    const before = this.#tenures;
    const { tenures, gained, leaving, lost } = meetSegments(before, records, {
      sid: this.#options.sid,
      released: this.#releasedEpoch,
      isDraining: this.isDraining,
      awaitsMove: this.#awaitsMove,
    });
    for (const segment of lost) this.#lose(segment, before.get(segment)?.epoch);
    this.#tenures = tenures;
    for (const segment of gained) {
      const epoch = tenures.get(segment)?.epoch as Epoch;
      this.#unloaded.add(segment);
      desired.own(segment, epoch);
      bus.emit("segment:gained", { segment, epoch });
    }
    this.#leave(leaving);
  }

  #leave(segments: readonly SegmentId[]): void {
    const { bots, desired } = this.#options;
    for (const segment of segments) bots.request(desired.leave(segment, this.isDraining ? "draining" : "released"));
  }

  #lose(segment: SegmentId, epoch = 0 as Epoch): void {
    const bots = this.#options.desired.disown(segment);
    this.#unloaded.delete(segment);
    this.#options.bots.request(bots);
    this.#options.bus.emit("segment:lost", { segment, epoch });
  }

  readonly #releasedEpoch = (segment: SegmentId): Epoch | undefined => this.#options.released.epochOf(segment);

  /** Reads what is newly ours. All its bots are looked at, also those that an earlier reading knew which then broke off. */
  async #takeOver(signal: AbortSignal): Promise<void> {
    if (this.#unloaded.size === 0) return;
    const { desired, bots, onLoaded, onGained } = this.#options;
    const gained = new Set(this.#unloaded);
    const gone = await desired.load([...gained], signal);
    const mine = [...desired.all()].flatMap((want) => (gained.has(want.segment) ? [want.bot] : []));
    await onLoaded(mine);
    await onGained(mine);
    for (const segment of gained) this.#unloaded.delete(segment);
    bots.request(new Set([...gone, ...mine]));
  }

  /** Stop proof, then O5. Whether a segment is quiet is asked again after the list: a call may have begun meanwhile. */
  async #releaseLeaving(): Promise<void> {
    const { engine, bots } = this.#options;
    const quiet = this.#quiet().filter((segment) => !this.#releases.has(segment));
    if (quiet.length === 0) return;
    const { proven, left } = proveStopped(quiet, await engine.list());
    bots.request(left);
    await this.#releases.run(
      proven.map((segment) => [
        segment,
        async () => {
          const epoch = this.#tenures.get(segment)?.epoch;
          if (epoch !== undefined && this.#quiet().includes(segment)) await this.#release(segment, epoch);
        },
      ]),
    );
  }

  #quiet(): SegmentId[] {
    const { desired, bots } = this.#options;
    return quietSegments(this.#tenures, bots.busy(), (bot) => desired.get(bot)?.segment);
  }

  async #release(segment: SegmentId, epoch: Epoch): Promise<void> {
    const { released, store, bus, desired } = this.#options;
    await released.append(segment, epoch);
    await store.apply(releaseSegment(segment, epoch));
    // A word that comes late may find the segment lost by then, or ours anew.
    if (this.#tenures.get(segment)?.epoch !== epoch) return;
    this.#tenures = new Map([...this.#tenures].filter(([id]) => id !== segment));
    desired.disown(segment);
    bus.emit("segment:released", { segment, epoch });
  }
}
