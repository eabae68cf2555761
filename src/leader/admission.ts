import type { BotReader } from "../document/pick-reading.ts";
import { planAdmission, type AdmissionStep } from "../core/admission.ts";
import type { FoundDocument } from "../core/bot.ts";
import type { Clock } from "../core/clock.ts";
import { assertNever } from "../core/errors.ts";
import { botIdOf, type BotId, keyOf } from "../core/ids.ts";
import { mergeSorted } from "../core/merge.ts";
import { activate, forgetPlacement, forgetStatus, type RecordId, reportUnowned } from "../core/operations.ts";
import type { PlacementRecord } from "../core/records.ts";
import { segmentOf } from "../core/segment.ts";
import { sideBySide } from "../process/side-by-side.ts";
import type { LeaderBus } from "./events.ts";
import type { LeaderStore } from "./ports.ts";

/** Decisions that are carried out together: new bots go in one write, and memory is bounded by what they hold. A write
 *  of 200 takes a replica set about as long as it takes us to read the next 200; more would only grow old in memory. */
const BATCH = 200;
/** Of the other writes, so many at the same time. */
const WIDTH = 32;

/** A step for a bot, or the word on a document whose `_id` names none. */
type Decision = AdmissionStep | { readonly kind: "unusable"; readonly document: string; readonly faults: readonly string[] };

export type AdmissionOptions = {
  readonly store: LeaderStore;
  readonly read: BotReader;
  readonly maxSegment: number;
  readonly clock: Clock;
  readonly bus: LeaderBus;
};

type Item =
  | { readonly kind: "found"; readonly id: string; readonly found: FoundDocument }
  | { readonly kind: "placement"; readonly id: string; readonly placement: PlacementRecord };

/** Keeps `runtime.placements` in step with the user's collection. Everything it does follows from comparing the two,
 *  for all bots (`merge`) or for some (`look`): events only say which ones to compare. */
export class Admission {
  readonly #options: AdmissionOptions;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /** Compares everything in one pass over three sorted cursors; holds one document of each.
   *  @throws {StoreUnreachableError} half-way; what was done stands, the rest is done by the next pass. */
  async merge(signal: AbortSignal): Promise<void> {
    const { store, clock, bus } = this.#options;
    const began = clock.mono();
    const streams = [
      tagged(store.stringBots(signal), (found) => ({ kind: "found", id: keyOf(found.raw), found })),
      tagged(store.objectIdBots(signal), (found) => ({ kind: "found", id: keyOf(found.raw), found })),
      tagged(store.allPlacements(signal), (placement) => ({ kind: "placement", id: placement._id, placement })),
    ];
    let documents = 0;
    let steps = 0;
    let decided: Decision[] = [];
    let unmatched: BotId[] = [];
    let written: Promise<void> = Promise.resolve();
    // One batch is written while the next one is read, never more: memory stays bounded.
    const flush = async (): Promise<void> => {
      await written;
      written = this.#carryOut(decided, unmatched).then((taken) => void (steps += taken));
      written.catch(() => {}); // told by whoever waits for it next
      decided = [];
      unmatched = [];
    };
    try {
      for await (const { id, parts } of mergeSorted<Item>(streams, (item) => item.id)) {
        const found = parts.flatMap((p) => (p?.kind === "found" ? [p.found] : []));
        const placement = parts.flatMap((p) => (p?.kind === "placement" ? [p.placement] : []))[0];
        documents += found.length;
        if (found.length === 0) unmatched.push(id as BotId);
        else decided.push(...this.#decide(found, placement));
        if (decided.length + unmatched.length >= BATCH) await flush();
      }
      await flush();
      await written;
    } finally {
      await written.catch(() => {}); // a write that is on its way ends before the merge does
    }
    await this.reportUnusable(signal);
    bus.emit("admission:merged", { documents, steps, tookMs: clock.mono() - began });
  }

  /** Compares these bots. Returns the number of steps taken. @throws {StoreUnreachableError} */
  async look(ids: readonly BotId[]): Promise<number> {
    if (ids.length === 0) return 0;
    const { store } = this.#options;
    const found = Map.groupBy(await store.findBots(ids), (f) => keyOf(f.raw));
    const placements = new Map((await store.findPlacements(ids)).map((p) => [p._id, p]));
    const decided = ids.flatMap((id): Decision[] => {
      const mine = found.get(id) ?? [];
      return mine.length > 0 ? this.#decide(mine, placements.get(id)) : planAdmission(id, undefined, placements.get(id));
    });
    return this.#applyAll(decided);
  }

  /** Reports every document whose `_id` is neither a string nor an ObjectId. */
  async reportUnusable(signal: AbortSignal): Promise<void> {
    for await (const found of this.#options.store.otherBots(signal)) await this.#applyAll(this.#decide([found], undefined));
  }

  async #carryOut(decided: readonly Decision[], unmatched: readonly BotId[]): Promise<number> {
    // The cursors read at different moments: a bot that seems deleted may just have moved between them.
    return (await this.#applyAll(decided)) + (await this.look(unmatched));
  }

  #decide(found: readonly FoundDocument[], placement: PlacementRecord | undefined): Decision[] {
    const twins = found.length > 1;
    // Whatever the document says, an active bot is its owner's: it need not be read for that.
    if (!twins && placement?.active === true) return [];
    return found.flatMap((one): Decision[] => {
      // Where an ObjectId and its string twin both stand, the ObjectId is the bot.
      const verdict = botIdOf(one.raw);
      const reading = this.#options.read(one, twins && one.raw.kind === "string");
      if (reading.kind === "invalid" && (reading.id === undefined || !verdict.ok))
        return [{ kind: "unusable", document: reading.document, faults: reading.faults }];
      return verdict.ok ? planAdmission(verdict.id, reading, placement) : [];
    });
  }

  async #applyAll(decisions: readonly Decision[]): Promise<number> {
    const { store, maxSegment, bus } = this.#options;
    const places = decisions.filter((d) => d.kind === "place");
    // A second leader's insert of the same bot gives the same segment: whoever was first is right.
    const records = places.map(({ bot, active }) => ({ _id: bot, segment: segmentOf(bot, maxSegment), active, done: null }));
    if (records.length > 0) await store.insertPlacements(records);
    for (const step of places) bus.emit("admission:stepped", { step });
    const rest = decisions.filter((d) => d.kind !== "place");
    const taken = await sideBySide(rest, WIDTH, (decision) => this.#apply(decision));
    return places.length + taken.filter(Boolean).length;
  }

  /** Returns whether anything came of it. */
  async #apply(decision: Exclude<Decision, { kind: "place" }>): Promise<boolean> {
    const { store, bus } = this.#options;
    switch (decision.kind) {
      case "unusable": {
        const isNews = await this.#report({ document: decision.document }, decision.faults);
        if (isNews) bus.emit("document:unusable", { document: decision.document, reason: decision.faults[0] ?? "" });
        return isNews;
      }
      case "report":
        if (!(await this.#report(decision.bot, decision.faults))) return false;
        break;
      case "activate":
        await store.apply(activate(decision.bot));
        break;
      case "forget":
        // The placement last: it is what makes the next pass come here again if this one breaks off.
        await store.apply(forgetStatus(decision.bot));
        await store.apply(forgetPlacement(decision.bot));
        break;
      default:
        assertNever(decision);
    }
    bus.emit("admission:stepped", { step: decision });
    return true;
  }

  /** Returns whether that was news. */
  async #report(id: RecordId, faults: readonly string[]): Promise<boolean> {
    const outcome = await this.#options.store.apply(
      reportUnowned(id, {
        state: "invalid",
        since: this.#options.clock.wall(),
        worker: "",
        container: null,
        restarts: 0,
        attempt: 0,
        nextStart: null,
        lastExit: null,
        message: faults.join("; "),
        warnings: [],
        spec: null,
      }),
    );
    return outcome === "won";
  }
}

async function* tagged<T>(items: AsyncIterable<T>, tag: (item: T) => Item): AsyncGenerator<Item> {
  for await (const item of items) yield tag(item);
}
