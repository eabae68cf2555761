// Watches the books of a fleet from outside, and holds what it sees against the invariants that can be told from there.
import type { Run } from "./runs.ts";

export type Sighting = {
  /** When the read began, on the beacons' clock in ms. */
  readonly askedAt: number;
  /** When its answer had come. */
  readonly answeredAt: number;
  readonly workers: readonly { readonly _id: string; readonly state: string }[];
  readonly segments: readonly { readonly _id: number; readonly state: string; readonly owner: string | null; readonly epoch: number }[];
  readonly statuses: readonly { readonly _id: unknown; readonly epoch: number }[];
  readonly placements: readonly { readonly _id: string; readonly segment: number }[];
};

/** Source: ownership.md "Invariants". */
type Invariant = "I2" | "I3" | "I4" | "I5" | "I7";

/** Remembers as little as the invariants need. Each breach is told once. */
export class Observer {
  readonly #breaches = new Map<string, string>();
  readonly #epochs = new Map<number, number>();
  readonly #owners = new Map<string, string>();
  /** When (segment, epoch) was first known to be over: its tenure had been released or taken by then. */
  readonly #over = new Map<string, number>();
  readonly #final = new Map<string, string>();
  readonly #statusEpochs = new Map<string, number>();
  readonly #segmentOf = new Map<string, number>();
  #sightings = 0;

  get sightings(): number {
    return this.#sightings;
  }

  get breaches(): readonly string[] {
    return [...this.#breaches.values()];
  }

  see({ answeredAt, workers, segments, statuses, placements }: Sighting): void {
    this.#sightings += 1;
    for (const { _id, state } of workers) {
      const before = this.#final.get(_id);
      if (before !== undefined && before !== state) this.#tell("I4", `session ${_id}`, `is ${state} after it was ${before}`);
      if (state === "dead" || state === "gone") this.#final.set(_id, state);
    }
    for (const segment of segments) this.#seeSegment(segment, answeredAt);
    for (const { _id, epoch } of statuses) {
      const bot = JSON.stringify(_id);
      const before = this.#statusEpochs.get(bot) ?? epoch;
      if (epoch < before) this.#tell("I5", `status of ${bot}`, `went back from epoch ${before} to ${epoch}`);
      this.#statusEpochs.set(bot, epoch);
    }
    for (const { _id, segment } of placements) {
      const before = this.#segmentOf.get(_id) ?? segment;
      if (before !== segment) this.#tell("I7", _id, `moved from segment ${before} to ${segment}`);
      this.#segmentOf.set(_id, segment);
    }
  }

  /** I3, once all lives are known: none began under an epoch that was known to be over. */
  judgeStarts(runs: readonly Run[]): void {
    for (const { bot, epoch, first, run } of runs) {
      const segment = this.#segmentOf.get(bot);
      const over = this.#over.get(`${segment} ${epoch}`);
      if (over !== undefined && first > over)
        this.#tell("I3", `${bot} ${run}`, `began ${Math.round(first - over)} ms after epoch ${epoch} of segment ${segment} was over`);
    }
  }

  #seeSegment({ _id, state, owner, epoch }: Sighting["segments"][number], answeredAt: number): void {
    const before = this.#epochs.get(_id) ?? epoch;
    if (epoch < before) this.#tell("I2", `segment ${_id}`, `went back from epoch ${before} to ${epoch}`);
    for (let past = before; past < epoch; past++) this.#end(_id, past, answeredAt);
    if (state === "free") this.#end(_id, epoch, answeredAt);
    this.#epochs.set(_id, epoch);
    if (owner === null) return;
    const key = `${_id} ${epoch}`;
    const first = this.#owners.get(key) ?? owner;
    if (first !== owner) this.#tell("I2", key, `epoch ${epoch} of segment ${_id} has the owners ${first} and ${owner}`);
    this.#owners.set(key, first);
  }

  #end(segment: number, epoch: number, at: number): void {
    const key = `${segment} ${epoch}`;
    if (!this.#over.has(key)) this.#over.set(key, at);
  }

  #tell(invariant: Invariant, what: string, how: string): void {
    const key = `${invariant} ${what}`;
    if (!this.#breaches.has(key)) this.#breaches.set(key, `${invariant}: ${what} ${how}`);
  }
}
