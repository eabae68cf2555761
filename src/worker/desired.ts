import type { BotReading, FoundDocument } from "../core/bot.ts";
import type { Desired, StopReason } from "../core/containers.ts";
import { type BotId, type Epoch, keyOf, type SegmentId, type SessionId, type SpecHash } from "../core/ids.ts";
import { activate } from "../core/operations.ts";
import type { PlacementRecord } from "../core/records.ts";
import type { WorkerStore } from "./ports.ts";

/** A bot of one of our segments: what should be, and what to say about it. */
export type Want = {
  readonly bot: BotId;
  readonly segment: SegmentId;
  readonly epoch: Epoch;
  readonly desired: Desired;
  /** Why its document cannot run, for its status. */
  readonly faults: readonly string[];
  readonly warnings: readonly string[];
};

/** The desired state of the segments this worker owns: a cache of what the store says, filled by reading it again.
 *  INVARIANT: a segment's bots are here completely (`isLoaded`) or nothing is concluded from their absence. */
export class DesiredBots {
  readonly #store: WorkerStore;
  readonly #read: (found: readonly FoundDocument[]) => BotReading | undefined;
  readonly #sid: SessionId;
  readonly #owned = new Map<SegmentId, Epoch>();
  readonly #loaded = new Map<SegmentId, Epoch>();
  readonly #leaving = new Map<SegmentId, StopReason>();
  readonly #wants = new Map<BotId, Want>();
  /** Bots that are being given up: until that has ended their want stays, whatever their placement says by then. */
  readonly #concluding = new Set<BotId>();
  #isFenced = false;

  constructor(store: WorkerStore, read: (found: readonly FoundDocument[]) => BotReading | undefined, sid: SessionId) {
    this.#store = store;
    this.#read = read;
    this.#sid = sid;
  }

  get(bot: BotId): Want | undefined {
    const want = this.#wants.get(bot);
    return want !== undefined && this.#isFenced ? { ...want, desired: { want: "stop", why: "fenced" } } : want;
  }

  /** While fenced nothing should run here, whatever the store said last. */
  fence(isFenced: boolean): void {
    this.#isFenced = isFenced;
  }

  all(): IterableIterator<Want> {
    return this.#wants.values();
  }

  /** Whether the absence of a bot of `segment` means that it should not run here. True for a segment that is not ours. */
  isKnown(segment: SegmentId): boolean {
    const epoch = this.#owned.get(segment);
    return epoch === undefined || this.#loaded.get(segment) === epoch;
  }

  own(segment: SegmentId, epoch: Epoch): void {
    this.#owned.set(segment, epoch);
  }

  /** From now on the segment's bots should stop. The segment stays ours until the proof. A deleted bot that is being forgotten
   *  stops for that reason still: another one would write it a last status, which nobody would ever remove. */
  leave(segment: SegmentId, why: StopReason): BotId[] {
    this.#leaving.set(segment, why);
    const mine = [...this.#wants.values()].filter((w) => w.segment === segment);
    for (const want of mine) if (!this.#isBeingForgotten(want)) this.#wants.set(want.bot, { ...want, desired: { want: "stop", why } });
    return mine.map((w) => w.bot);
  }

  #isBeingForgotten({ bot, desired }: Want): boolean {
    return this.#concluding.has(bot) && desired.want === "stop" && desired.why === "deleted";
  }

  /** The segment is not ours any more: its bots are strangers. */
  disown(segment: SegmentId): BotId[] {
    const mine = [...this.#wants.values()].filter((w) => w.segment === segment).map((w) => w.bot);
    for (const bot of mine) this.settle(bot);
    for (const map of [this.#owned, this.#loaded, this.#leaving]) map.delete(segment);
    return mine;
  }

  /** From now on the bot's placement may turn inactive by our own write: if its reply is lost, who asks again must still
   *  find what was wanted. */
  conclude(bot: BotId): void {
    this.#concluding.add(bot);
  }

  /** The bot was wanted again while it was being given up. */
  resume(bot: BotId): void {
    this.#concluding.delete(bot);
  }

  /** Nothing more to do for this bot, until its placement is active again. */
  settle(bot: BotId): void {
    this.#wants.delete(bot);
    this.#concluding.delete(bot);
  }

  /** Reads every active bot of the given segments. Returns the bots to look at.
   *  @throws {StoreUnreachableError} and then knows as much as before. */
  async load(segments: readonly SegmentId[], signal: AbortSignal): Promise<BotId[]> {
    const epochs = new Map(segments.flatMap((s) => (this.#owned.has(s) ? [[s, this.#owned.get(s)] as const] : [])));
    const stale = new Set([...this.#wants.values()].filter((w) => epochs.has(w.segment)).map((w) => w.bot));
    const touched: BotId[] = [];
    for await (const batch of this.#store.activePlacements([...epochs.keys()], signal)) {
      for (const { _id } of batch) stale.delete(_id);
      touched.push(...(await this.#take(batch)));
    }
    // Bots without an active placement: settled elsewhere in this process, or their placement was dropped by hand.
    touched.push(...(await this.refresh([...stale])));
    for (const [segment, epoch] of epochs) if (epoch !== undefined && this.#owned.get(segment) === epoch) this.#loaded.set(segment, epoch);
    return touched;
  }

  /** Reads these bots again. Returns those of our segments whose desired state is new or may have changed. */
  async refresh(bots: readonly BotId[]): Promise<BotId[]> {
    if (bots.length === 0) return [];
    const placements = new Map((await this.#store.findPlacements(bots)).map((p) => [p._id, p]));
    const inactive = bots.filter((bot) => this.#wants.has(bot) && placements.get(bot)?.active !== true);
    const gone: BotId[] = [];
    for (const bot of inactive) if (!(await this.#isMistaken(bot, placements.get(bot)))) gone.push(bot);
    for (const bot of gone) if (!this.#concluding.has(bot)) this.#wants.delete(bot);
    return [...gone, ...(await this.#take([...placements.values()].filter((p) => p.active)))];
  }

  /** Reads the bot's document once more: whether it should run, unless it is the one under which it has ended. */
  async shouldRun(bot: BotId, done: SpecHash | null): Promise<boolean> {
    const reading = this.#read(await this.#store.findBots([bot]));
    return reading?.kind === "valid" && reading.enabled && reading.hash !== done;
  }

  /** A deactivation of ours that was given up may land long after, when the user has thought better of it. Nobody else
   *  deactivates a bot of ours, so then the document is right: the placement is made active again, and the bot runs on. */
  async #isMistaken(bot: BotId, placement: PlacementRecord | undefined): Promise<boolean> {
    if (placement === undefined || this.#concluding.has(bot) || this.#wants.get(bot)?.desired.want !== "run") return false;
    if (!(await this.shouldRun(bot, placement.done))) return false;
    await this.#store.apply(activate(bot));
    return true;
  }

  async #take(placements: readonly PlacementRecord[]): Promise<BotId[]> {
    const mine = placements.filter((p) => this.#owned.has(p.segment));
    if (mine.length === 0) return [];
    const found = Map.groupBy(await this.#store.findBots(mine.map((p) => p._id)), (f) => keyOf(f.raw));
    const changed: BotId[] = [];
    for (const { _id: bot, segment } of mine) {
      const epoch = this.#owned.get(segment);
      if (epoch === undefined) continue; // lost while we read
      const before = this.#wants.get(bot);
      const want = this.#want(bot, segment, epoch, this.#read(found.get(bot) ?? []));
      this.#wants.set(bot, want);
      if (before === undefined || !sameWant(before, want)) changed.push(bot);
    }
    return changed;
  }

  #want(bot: BotId, segment: SegmentId, epoch: Epoch, reading: BotReading | undefined): Want {
    const base = { bot, segment, epoch, faults: [], warnings: reading?.kind === "valid" ? reading.warnings : [] };
    const stop = (why: StopReason): Want => ({ ...base, desired: { want: "stop", why } });
    const leaving = this.#leaving.get(segment);
    if (leaving !== undefined) return stop(leaving);
    if (reading === undefined) return stop("deleted");
    if (reading.kind === "invalid") return { ...stop("invalid"), faults: reading.faults };
    if (!reading.enabled) return stop("disabled");
    return { ...base, desired: { want: "run", spec: reading.spec, hash: reading.hash, segment, epoch, sid: this.#sid } };
  }
}

function sameWant(a: Want, b: Want): boolean {
  if (a.epoch !== b.epoch || a.segment !== b.segment) return false;
  if (a.desired.want === "run") return b.desired.want === "run" && a.desired.hash === b.desired.hash;
  return b.desired.want === "stop" && a.desired.why === b.desired.why;
}
