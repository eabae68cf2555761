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

/** Bots that are written at the same time: a first merge is one write a bot, and each waits for a majority. */
const WIDTH = 32;

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
    let rows: (() => Promise<number>)[] = [];
    const flush = async (): Promise<void> => {
      for (const taken of await sideBySide(rows, WIDTH, (decide) => decide())) steps += taken;
      rows = [];
    };
    for await (const { id, parts } of mergeSorted<Item>(streams, (item) => item.id)) {
      const found = parts.flatMap((p) => (p?.kind === "found" ? [p.found] : []));
      const placement = parts.flatMap((p) => (p?.kind === "placement" ? [p.placement] : []))[0];
      documents += found.length;
      // The cursors read at different moments: a bot that seems deleted may just have moved between them.
      rows.push(() => (found.length === 0 ? this.look([id as BotId]) : this.#decide(found, placement)));
      if (rows.length === WIDTH) await flush();
    }
    await flush();
    await this.reportUnusable(signal);
    bus.emit("admission:merged", { documents, steps, tookMs: clock.mono() - began });
  }

  /** Compares these bots. Returns the number of steps taken. @throws {StoreUnreachableError} */
  async look(ids: readonly BotId[]): Promise<number> {
    const { store } = this.#options;
    const found = Map.groupBy(await store.findBots(ids), (f) => keyOf(f.raw));
    const placements = new Map((await store.findPlacements(ids)).map((p) => [p._id, p]));
    const taken = await sideBySide(ids, WIDTH, (id) => {
      const mine = found.get(id) ?? [];
      return mine.length > 0 ? this.#decide(mine, placements.get(id)) : this.#apply(planAdmission(id, undefined, placements.get(id)));
    });
    return taken.reduce((total, n) => total + n, 0);
  }

  /** Reports every document whose `_id` is neither a string nor an ObjectId. */
  async reportUnusable(signal: AbortSignal): Promise<void> {
    for await (const found of this.#options.store.otherBots(signal)) await this.#decide([found], undefined);
  }

  async #decide(found: readonly FoundDocument[], placement: PlacementRecord | undefined): Promise<number> {
    const twins = found.length > 1;
    let steps = 0;
    for (const one of found) {
      // Where an ObjectId and its string twin both stand, the ObjectId is the bot.
      const verdict = botIdOf(one.raw);
      const reading = this.#options.read(one, twins && one.raw.kind === "string");
      if (reading.kind === "invalid" && (reading.id === undefined || !verdict.ok)) {
        const reported = await this.#report({ document: reading.document }, reading.faults);
        if (reported) this.#options.bus.emit("document:unusable", { document: reading.document, reason: reading.faults[0] ?? "" });
        steps += reported ? 1 : 0;
      } else if (verdict.ok) {
        steps += await this.#apply(planAdmission(verdict.id, reading, placement));
      }
    }
    return steps;
  }

  async #apply(steps: readonly AdmissionStep[]): Promise<number> {
    const { store, maxSegment, bus } = this.#options;
    let taken = 0;
    for (const step of steps) {
      let news = true;
      switch (step.kind) {
        case "place":
          // A second leader's insert of the same bot gives the same segment: whoever was first is right.
          await store.insert("placements", { _id: step.bot, segment: segmentOf(step.bot, maxSegment), active: step.active, done: null });
          break;
        case "activate":
          await store.apply(activate(step.bot));
          break;
        case "forget":
          // The placement last: it is what makes the next pass come here again if this one breaks off.
          await store.apply(forgetStatus(step.bot));
          await store.apply(forgetPlacement(step.bot));
          break;
        case "report":
          news = await this.#report(step.bot, step.faults);
          break;
        default:
          assertNever(step);
      }
      if (!news) continue;
      taken += 1;
      bus.emit("admission:stepped", { step });
    }
    return taken;
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
