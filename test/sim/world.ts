import type { BotId, SegmentId } from "../../src/core/ids.ts";
import { KUBERNETES_TIMINGS, type Timings } from "../../src/core/timings.ts";
import { bot, segment } from "../support/builders.ts";
import { Chance } from "./chance.ts";
import { Checker } from "./checker.ts";
import type { Coverage } from "./coverage.ts";
import { Network } from "./network.ts";
import { Pod } from "./pod.ts";
import { Scheduler } from "./scheduler.ts";
import { SimLeases, SimMongo } from "./stores.ts";
import { SimWorker } from "./worker.ts";

const PODS = 3;
const BOTS = 4;
const SEGMENTS = 3;

export type Line = { readonly at: number; readonly who: string; readonly what: string };

/** A whole fleet in virtual time: stores, pods, workers, and what checks them. */
export class World {
  readonly scheduler = new Scheduler();
  readonly chance: Chance;
  readonly network: Network;
  readonly mongo: SimMongo;
  readonly kube: SimLeases;
  readonly checker: Checker;
  readonly coverage: Coverage;
  readonly timings: Timings = KUBERNETES_TIMINGS;
  /** The 15 min after which a headless worker gives up, cut down to a little more than any fault lasts that is not about it. */
  readonly headlessMs = 40_000;
  readonly bots: readonly { readonly bot: BotId; readonly segment: SegmentId }[];
  /** Every process that was ever started here, living ones first to be asked. */
  readonly workers: SimWorker[] = [];
  readonly dockerTrouble = { slowMs: 0, replyLossRate: 0 };
  slowStops = false;
  /** How old what is read of segments may be, in ms. */
  staleMs = 0;
  /** The wall clock's error, in ms: nothing but the first epoch of a segment reads it. */
  wallErrorMs = 0;
  readonly lines: Line[] | undefined;
  #pods = 0;

  constructor(seed: number, coverage: Coverage, options: { readonly isTold?: boolean } = {}) {
    this.chance = new Chance(seed);
    this.coverage = coverage;
    this.lines = options.isTold === true ? [] : undefined;
    this.network = new Network(this.scheduler, this.chance);
    this.checker = new Checker(this);
    this.mongo = new SimMongo(
      () => this.scheduler.now,
      (applied) => this.checker.applied(applied),
    );
    this.kube = new SimLeases((write, reply) => this.coverage.count(`lease ${write.op} ${reply}`));
    this.bots = Array.from({ length: BOTS }, (_, i) => ({ bot: bot(`bot-${i}`), segment: segment(i % SEGMENTS) }));
    this.placeBots();
    for (let i = 0; i < PODS; i++) this.addPod("ours");
  }

  /** What the leader's admission writes of bots that it sees for the first time. */
  placeBots(): void {
    for (const { bot: _id, segment } of this.bots) this.mongo.insert("placements", { _id, segment, active: true, done: null });
  }

  addPod(fleet: string, afterMs = 0): SimWorker {
    const { chance } = this;
    const pod = new Pod(this, `pod-${++this.#pods}`, 1 + chance.between(-0.05, 0.05), chance.between(1_000, 1_000_000));
    const worker = new SimWorker(this, pod, fleet);
    this.workers.push(worker);
    this.scheduler.after(afterMs + chance.between(0, 500), () => worker.boot());
    return worker;
  }

  /** Workers of our own fleet whose pods are still there. */
  living(): SimWorker[] {
    return this.workers.filter((w) => !w.pod.isLost && w.fleet === "ours");
  }

  /** The moment whose segments a read shows. */
  readsAt(): number {
    return this.staleMs > 0 ? this.scheduler.now - this.chance.between(0, this.staleMs) : this.scheduler.now;
  }

  wallSeconds(): number {
    return Math.floor((1_800_000_000_000 + this.scheduler.now + this.wallErrorMs) / 1_000);
  }

  say(pod: Pod | undefined, what: string): void {
    this.lines?.push({ at: this.scheduler.now, who: pod?.uid ?? "", what });
  }
}
