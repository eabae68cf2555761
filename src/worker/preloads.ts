import type { BotReading, FoundDocument } from "../core/bot.ts";
import { BotRunnerError } from "../core/errors.ts";
import { keyOf, type SessionId } from "../core/ids.ts";
import { readyForMove } from "../core/operations.ts";
import type { SegmentRecord } from "../core/records.ts";
import { isPassing } from "../process/retry.ts";
import { untilAborted } from "../process/until-aborted.ts";
import type { WorkerBus } from "./events.ts";
import type { Engine, WorkerStore } from "./ports.ts";

export type PreloadOptions = {
  readonly store: Pick<WorkerStore, "activePlacements" | "findBots" | "apply">;
  readonly engine: Pick<Engine, "ensureImage">;
  readonly read: (found: readonly FoundDocument[]) => BotReading | undefined;
  readonly sid: SessionId;
  readonly bus: WorkerBus;
};

/** Gets the images of segments that will come to us by a planned move, so that their bots stand still only for a stop and a
 *  start, and says so. Nothing depends on it: a leader that hears nothing goes on after its patience. */
export class Preloads {
  readonly #options: PreloadOptions;
  /** Tenures that were taken up, so that each is so once. Bounded: a segment has one. */
  readonly #begun = new Map<number, number>();
  readonly #waiting: SegmentRecord[] = [];
  #wake = Promise.withResolvers<void>();

  constructor(options: PreloadOptions) {
    this.#options = options;
  }

  /** Asks for what `record` needs; again for the same tenure is no news. */
  request(record: SegmentRecord): void {
    if (this.#begun.get(record._id) === record.epoch) return;
    this.#begun.set(record._id, record.epoch);
    this.#waiting.push(record);
    this.#wake.resolve();
  }

  /** Works until the signal aborts, one segment at a time: moves come one at a time, too. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const record = this.#waiting.shift();
      if (record !== undefined) await this.#get(record, signal);
      else {
        await untilAborted(this.#wake.promise, signal);
        this.#wake = Promise.withResolvers();
      }
    }
  }

  async #get({ _id: segment, epoch }: SegmentRecord, signal: AbortSignal): Promise<void> {
    const { store, engine, read, sid, bus } = this.#options;
    try {
      const images = new Set<string>();
      for await (const batch of store.activePlacements([segment], signal)) {
        const found = Map.groupBy(await store.findBots(batch.map((p) => p._id)), (f) => keyOf(f.raw));
        for (const { _id } of batch) {
          const reading = read(found.get(_id) ?? []);
          // Another policy than "if it is not here" is a matter of the start itself.
          if (reading?.kind === "valid" && reading.enabled && reading.spec.imagePullPolicy !== "never") images.add(reading.spec.image);
        }
      }
      await Promise.all([...images].map((image) => engine.ensureImage(image, "if-not-present", signal)));
      await store.apply(readyForMove(segment, epoch, sid));
      bus.emit("segment:ready", { segment, epoch, images: images.size });
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof BotRunnerError)) throw error;
      // The Engine may only be coming up: whoever asks again gets another try.
      if (isPassing(error)) this.#begun.delete(segment);
      bus.emit("round:failed", { loop: "preload", error });
    }
  }
}
