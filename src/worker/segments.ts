import type { StopReason } from "../core/containers.ts";
import type { BotId, Epoch, SegmentId, SessionId } from "../core/ids.ts";
import { releaseSegment } from "../core/operations.ts";
import type { SegmentRecord } from "../core/records.ts";
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
  readonly bus: WorkerBus;
  /** Called with bots of a segment before they are first looked at, to take over what was reported of them. */
  readonly onLoaded: (bots: readonly BotId[]) => Promise<void>;
};

/** The segments this worker owns. free -O2-> owned -(revoked or draining)-> leaving -(proof, O5)-> free.
 *  Once a segment was seen leaving it stays leaving: a late answer that calls it assigned changes nothing. */
export class OwnedSegments {
  readonly #options: SegmentsOptions;
  readonly #owned = new Map<SegmentId, Epoch>();
  readonly #leaving = new Map<SegmentId, Epoch>();
  readonly #unloaded = new Set<SegmentId>();
  #draining = false;
  #complete = false;

  constructor(options: SegmentsOptions) {
    this.#options = options;
  }

  /** Whether all that we own is known and read: until then no container may be called a stranger. */
  get isComplete(): boolean {
    return this.#complete && this.#unloaded.size === 0;
  }

  get size(): number {
    return this.#owned.size;
  }

  /** The start gate's part: ours, under that epoch, not leaving, and not an epoch that was released here before. */
  mayStart(segment: SegmentId, epoch: Epoch): boolean {
    const released = this.#options.released.epochOf(segment);
    return (
      !this.#draining && this.#owned.get(segment) === epoch && !this.#leaving.has(segment) && (released === undefined || epoch > released)
    );
  }

  /** From now on everything is given up. */
  drain(): void {
    this.#draining = true;
    for (const [segment, epoch] of this.#owned) this.#leave(segment, epoch, "draining");
  }

  /** One look at the store and one step towards it. @throws {StoreUnreachableError}, {EngineUnreachableError} */
  async round(signal: AbortSignal): Promise<void> {
    const { store, sid } = this.#options;
    const records = await store.ownedSegments(sid);
    for (const [segment, epoch] of this.#owned) {
      if (!records.some((r) => r._id === segment && r.epoch === epoch)) this.#lose(segment, epoch);
    }
    for (const record of records) this.#meet(record);
    this.#complete = true;
    await this.#load([...this.#unloaded], signal);
    await this.#releaseLeaving();
  }

  /** Reads all bots of all owned segments again. What was known stays in force until the new reading is complete. */
  reload(signal: AbortSignal): Promise<void> {
    return this.#load([...this.#owned.keys()], signal);
  }

  #meet({ _id: segment, epoch, state }: SegmentRecord): void {
    const { desired, bus } = this.#options;
    if (this.#owned.get(segment) !== epoch) {
      this.#owned.set(segment, epoch);
      this.#unloaded.add(segment);
      desired.own(segment, epoch);
      bus.emit("segment:gained", { segment, epoch });
    }
    if (state === "revoking" || this.#draining) this.#leave(segment, epoch, this.#draining ? "draining" : "released");
  }

  #leave(segment: SegmentId, epoch: Epoch, why: StopReason): void {
    if (this.#leaving.has(segment)) return;
    this.#leaving.set(segment, epoch);
    this.#options.bots.request(this.#options.desired.leave(segment, why));
  }

  #lose(segment: SegmentId, epoch: Epoch): void {
    const bots = this.#options.desired.disown(segment);
    for (const map of [this.#owned, this.#leaving]) map.delete(segment);
    this.#unloaded.delete(segment);
    this.#options.bots.request(bots);
    this.#options.bus.emit("segment:lost", { segment, epoch });
  }

  async #load(segments: readonly SegmentId[], signal: AbortSignal): Promise<void> {
    if (segments.length === 0) return;
    const touched = await this.#options.desired.load(segments, signal);
    await this.#options.onLoaded(touched);
    for (const segment of segments) this.#unloaded.delete(segment);
    this.#options.bots.request(touched);
  }

  /** Stop proof, then O5: no call in hand for any bot of the segment, before and after a list that shows no container of it. */
  async #releaseLeaving(): Promise<void> {
    const { engine, bots } = this.#options;
    const quiet = [...this.#leaving].filter(([segment]) => this.#isQuiet(segment));
    if (quiet.length === 0) return;
    const containers = await engine.list();
    for (const [segment, epoch] of quiet) {
      const left = containers.filter((c) => c.segment === segment);
      if (left.length > 0) bots.request(left.map((c) => c.bot));
      else if (this.#isQuiet(segment)) await this.#release(segment, epoch);
    }
  }

  #isQuiet(segment: SegmentId): boolean {
    const { desired, bots } = this.#options;
    for (const bot of bots.busy()) {
      const want = desired.get(bot);
      // Nobody wants it any more, so which segment its call is about is not known: it could be this one.
      if (want === undefined || want.segment === segment) return false;
    }
    return true;
  }

  async #release(segment: SegmentId, epoch: Epoch): Promise<void> {
    const { released, store, sid, bus, desired } = this.#options;
    await released.append(segment, epoch);
    await store.apply(releaseSegment(segment, sid, epoch));
    for (const map of [this.#owned, this.#leaving]) map.delete(segment);
    desired.disown(segment);
    bus.emit("segment:released", { segment, epoch });
  }
}
