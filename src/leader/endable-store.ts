import type { FoundDocument } from "../core/bot.ts";
import type { BotId, SegmentId } from "../core/ids.ts";
import type { FleetRecord, FleetView, PlacementRecord, SegmentRecord, WorkerRecord } from "../core/records.ts";
import { untilAborted } from "../process/until-aborted.ts";
import type { LeaderStore } from "./ports.ts";

/** A leader's way to MongoDB. Its reads break off when it leads no more: a call may hang for longer than the time in which its work has
 *  to end. What it writes is waited for. */
export class EndableStore implements LeaderStore {
  readonly #store: LeaderStore;
  #over = new AbortController().signal;

  constructor(store: LeaderStore) {
    this.#store = store;
  }

  /** From now on reads throw the reason of this signal once it aborts. */
  endWith(signal: AbortSignal): void {
    this.#over = signal;
  }

  apply: LeaderStore["apply"] = (operation) => this.#store.apply(operation);
  insert: LeaderStore["insert"] = (collection, record) => this.#store.insert(collection, record);
  insertPlacements: LeaderStore["insertPlacements"] = (records) => this.#store.insertPlacements(records);
  publishFleet: LeaderStore["publishFleet"] = (view) => this.#store.publishFleet(view);

  // They have a signal of their own.
  stringBots: LeaderStore["stringBots"] = (signal) => this.#store.stringBots(signal);
  objectIdBots: LeaderStore["objectIdBots"] = (signal) => this.#store.objectIdBots(signal);
  otherBots: LeaderStore["otherBots"] = (signal) => this.#store.otherBots(signal);
  allPlacements: LeaderStore["allPlacements"] = (signal) => this.#store.allPlacements(signal);

  findBots = (ids: readonly BotId[]): Promise<readonly FoundDocument[]> => this.#read(this.#store.findBots(ids));
  findPlacements = (ids: readonly BotId[]): Promise<readonly PlacementRecord[]> => this.#read(this.#store.findPlacements(ids));
  activeSegments = (some?: readonly SegmentId[]): Promise<readonly SegmentId[]> => this.#read(this.#store.activeSegments(some));
  segments = (some?: readonly SegmentId[]): Promise<readonly SegmentRecord[]> => this.#read(this.#store.segments(some));
  workers = (): Promise<readonly WorkerRecord[]> => this.#read(this.#store.workers());
  fleet = (): Promise<FleetRecord | undefined> => this.#read(this.#store.fleet());
  leaderTerm = (): Promise<number | undefined> => this.#read(this.#store.leaderTerm());
  countInvalid = (): Promise<number> => this.#read(this.#store.countInvalid());
  fleetView = (): Promise<FleetView | undefined> => this.#read(this.#store.fleetView());

  async #read<T>(call: Promise<T>): Promise<T> {
    const signal = this.#over;
    const answer = await untilAborted(
      call.then((value) => ({ value })),
      signal,
    );
    if (answer === undefined) throw signal.reason;
    return answer.value;
  }
}
