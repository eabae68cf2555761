import { pickReading } from "../../src/document/pick-reading.ts";
import { createBotReader } from "../../src/document/read-bot.ts";
import { Worker, type WorkerOptions } from "../../src/worker/worker.ts";
import type { ModelStore } from "./model-store.ts";

type Given = Pick<WorkerOptions, "engine" | "lifeline" | "clock" | "bus"> & { readonly store: ModelStore };

/** A worker on these parts that has released nothing yet and throws no dice. */
export function aWorkerOn(given: Given, over: Partial<WorkerOptions> = {}): Worker {
  const read = createBotReader({ maxStopGraceSeconds: 60 });
  return new Worker({
    ...given,
    feed: given.store,
    released: { epochOf: () => undefined, append: async () => {} },
    read: (found) => pickReading(found, read),
    random: () => 0,
    pod: "pod",
    startConcurrency: 4,
    ...over,
  });
}
