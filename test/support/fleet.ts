import { EventEmitter } from "node:events";
import type { Epoch, SegmentId } from "../../src/core/ids.ts";
import { segmentOf } from "../../src/core/segment.ts";
import { createBotReader } from "../../src/document/read-bot.ts";
import { Admission } from "../../src/leader/admission.ts";
import { EndableStore } from "../../src/leader/endable-store.ts";
import type { LeaderEvents } from "../../src/leader/events.ts";
import { Leader, type LeaderOptions } from "../../src/leader/leader.ts";
import { runGroup } from "../../src/process/run-group.ts";
import type { WorkerEvents } from "../../src/worker/events.ts";
import type { ReleasedRecord } from "../../src/worker/segments.ts";
import { Session, type SessionMark } from "../../src/worker/session.ts";
import { SoloLifeline } from "../../src/worker/solo-lifeline.ts";
import type { Worker } from "../../src/worker/worker.ts";
import type { Engine } from "../../src/worker/ports.ts";
import { bot } from "./builders.ts";
import { FakeClock } from "./fake-clock.ts";
import { FakeEngine } from "./fake-engine.ts";
import { ModelStore } from "./model-store.ts";
import { aWorkerOn } from "./worker.ts";

const RENEW_MS = 2_000;
export const MAX_SEGMENT = 16;

/** A bot's document as a user writes it. */
export const aDocument = (_id: unknown, over: Readonly<Record<string, unknown>> = {}) => ({ _id, image: "bot-runner/demo-bot:1", ...over });

export const placeOf = (id: string): SegmentId => segmentOf(bot(id), MAX_SEGMENT);

/** The record of released segments, as it would stand on disk. */
class ReleasedMap implements ReleasedRecord {
  readonly #epochs = new Map<SegmentId, Epoch>();
  epochOf(segment: SegmentId): Epoch | undefined {
    return this.#epochs.get(segment);
  }
  async append(segment: SegmentId, epoch: Epoch): Promise<void> {
    this.#epochs.set(segment, epoch);
  }
}

/** What the engine of a fleet is by default. */
export const fakeEngine = (clock: FakeClock): FakeEngine => new FakeEngine({ clock });

type Life = { readonly end: AbortController; readonly running: Promise<void>; fault: unknown };

/** No state directory: every continued session is watched before it is taken. */
const noMark: SessionMark = { held: undefined, keep: () => Promise.resolve() };

/** One process's worker and leader on a model store, a fake or another engine, and a hand-driven clock. The three outlive
 *  the process: `startWorker` after `end` is a restart of it. */
export class Fleet<E extends Engine = FakeEngine> {
  readonly clock = new FakeClock();
  readonly store = new ModelStore();
  readonly engine: E;
  readonly released = new ReleasedMap();
  readonly bus = new EventEmitter<WorkerEvents>();
  readonly leaderBus = new EventEmitter<LeaderEvents>();
  /** Names of the worker's events, in order. */
  readonly told: string[] = [];
  /** What the worker throws its dice with. */
  random: () => number = () => 0;
  readonly admission: Admission;
  readonly #leaderStore = new EndableStore(this.store);
  readonly #lives: Life[] = [];

  constructor(engineOn: (clock: FakeClock) => E) {
    this.engine = engineOn(this.clock);
    const { clock, leaderBus: bus } = this;
    const read = createBotReader({ maxStopGraceSeconds: 60 });
    this.admission = new Admission({ store: this.#leaderStore, read, maxSegment: MAX_SEGMENT, clock, bus });
    for (const name of ["bot:started", "bot:adopted", "bot:stopped", "bot:ended", "bot:visit-failed"] as const)
      this.bus.on(name, ({ bot }: { bot: string }) => this.told.push(`${name} ${bot}`));
  }

  newLeader(worker = "pod", over: Pick<LeaderOptions, "sid" | "policy" | "leaving"> = {}): Leader {
    const { store, clock, leaderBus: bus, admission } = this;
    return new Leader({ store: this.#leaderStore, feed: store, admission, clock, bus, checkIntervalMs: 5_000, worker, ...over });
  }

  startLeader(worker?: string, over?: Pick<LeaderOptions, "sid" | "policy" | "leaving">): { readonly leader: Leader } & Life {
    const leader = this.newLeader(worker, over);
    return Object.assign(
      this.#live((signal) => leader.run(signal)),
      { leader },
    );
  }

  /** Opens the session (a continued one waits until it is sure that nobody else lives) and runs the worker. */
  async startWorker(): Promise<{ readonly worker: Worker; readonly session: Session } & Life> {
    const { store, clock, bus, engine, released } = this;
    const own = { base: "engine-1", fleet: "engine-1", pod: "pod", node: "node", capacity: 500, renewMs: RENEW_MS, last: noMark };
    const options = { store, clock, bus, ...own };
    const opening = Session.open(options, new AbortController().signal);
    await clock.advance(3 * RENEW_MS);
    const session = await opening;
    const lifeline = new SoloLifeline(session, { store, clock, bus, timings: { renewMs: RENEW_MS } });
    const worker = aWorkerOn({ store, engine, lifeline, clock, bus }, { released, random: () => this.random() });
    return Object.assign(
      this.#live((signal) => worker.run(signal)),
      { worker, session },
    );
  }

  /** Worker and leader with these documents, and time enough for all of them to run. */
  async start(...documents: readonly Parameters<ModelStore["putBot"]>[0][]) {
    for (const document of documents) this.store.putBot(document);
    const worker = await this.startWorker();
    const leader = this.startLeader();
    await this.clock.advance(3_000);
    return Object.assign(worker, { leader });
  }

  /** Ends everything that runs as a crash would: nothing is stopped at the engine. */
  async end(): Promise<void> {
    for (const { end } of this.#lives) end.abort();
    // A stop that is under way is waited for, and lasts as long as its grace.
    for (let n = 0; n < 5; n++) await this.clock.advance(30_000);
    await Promise.all(this.#lives.map(({ running }) => running));
    this.#lives.length = 0;
  }

  #live(run: (signal: AbortSignal) => Promise<void>): Life {
    const end = new AbortController();
    const life: Life = { end, fault: undefined, running: Promise.resolve() };
    const running = runGroup([run], end.signal).catch((error: unknown) => {
      life.fault = error; // for the test to look at
    });
    Object.assign(life, { running });
    this.#lives.push(life);
    return life;
  }
}

export async function stop({ end, running }: Pick<Life, "end" | "running">): Promise<void> {
  end.abort();
  await running;
}
