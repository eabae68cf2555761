import type { BotId, SegmentId } from "../core/ids.ts";
import type { Hint } from "../core/ledger.ts";
import type { SegmentRecord } from "../core/records.ts";
import type { LeaderStore } from "./ports.ts";

/** Over so many changed ids a full read costs no more. */
const MAX_IDS = 500;

/** The leader's copy of the segments' records and of which are active. Hints say what to read again, so a look costs what
 *  has changed and not what there is. A copy that is behind is no danger: what is planned by it misses, and is read again. */
export class Books {
  readonly #store: LeaderStore;
  #records = new Map<SegmentId, SegmentRecord>();
  #active = new Set<SegmentId>();
  #isAllDue = true;
  readonly #segments = new Set<SegmentId>();
  readonly #bots = new Set<BotId>();

  constructor(store: LeaderStore) {
    this.#store = store;
  }

  /** Everything is to be read again. */
  forget(): void {
    this.#isAllDue = true;
  }

  onSegments(hint: Hint): void {
    if (hint.kind === "all") this.forget();
    else if (hint.kind === "some") for (const id of hint.ids) this.#segments.add(Number(id) as SegmentId);
  }

  onPlacements(hint: Hint): void {
    if (hint.kind === "all") this.forget();
    else if (hint.kind === "some") for (const id of hint.ids) this.#bots.add(id as BotId);
  }

  /** Was written or refused by us just now. */
  touch(segment: SegmentId): void {
    this.#segments.add(segment);
  }

  /** The books as they are now, as far as hints told. @throws {StoreUnreachableError} and then what was due is due again */
  async read(): Promise<{ readonly active: readonly SegmentId[]; readonly segments: readonly SegmentRecord[] }> {
    const [segments, bots] = [[...this.#segments], [...this.#bots]];
    const isAll = this.#isAllDue || segments.length > MAX_IDS || bots.length > MAX_IDS;
    // Taken out first: a hint that comes while we read is a new one.
    this.#segments.clear();
    this.#bots.clear();
    this.#isAllDue = false;
    try {
      await (isAll ? this.#readAll() : this.#readSome(segments, bots));
    } catch (error) {
      this.#isAllDue ||= isAll;
      for (const segment of segments) this.#segments.add(segment);
      for (const bot of bots) this.#bots.add(bot);
      throw error;
    }
    return { active: [...this.#active], segments: [...this.#records.values()] };
  }

  async #readAll(): Promise<void> {
    const [active, segments] = await Promise.all([this.#store.activeSegments(), this.#store.segments()]);
    this.#active = new Set(active);
    this.#records = new Map(segments.map((s) => [s._id, s]));
  }

  async #readSome(segments: readonly SegmentId[], bots: readonly BotId[]): Promise<void> {
    if (bots.length > 0) await this.#count(bots);
    if (segments.length === 0) return;
    const found = new Map((await this.#store.segments(segments)).map((s) => [s._id, s]));
    for (const id of segments) {
      const record = found.get(id);
      if (record === undefined) this.#records.delete(id);
      else this.#records.set(id, record);
    }
  }

  /** A bot keeps its segment for life, so its placement says which one to count again. Of a bot that was deleted meanwhile
   *  nothing says it any more: then all are counted. */
  async #count(bots: readonly BotId[]): Promise<void> {
    const placements = await this.#store.findPlacements(bots);
    if (placements.length < bots.length) {
      this.#active = new Set(await this.#store.activeSegments());
      return;
    }
    const touched = [...new Set(placements.map((p) => p.segment))];
    const active = new Set(await this.#store.activeSegments(touched));
    for (const segment of touched) {
      if (active.has(segment)) this.#active.add(segment);
      else this.#active.delete(segment);
    }
  }
}
