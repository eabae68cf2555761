import type { BotId, Epoch, SegmentId } from "../../src/core/ids.ts";
import { activate, releaseSegment, stepDown } from "../../src/core/operations.ts";
import type { PlacementRecord, SegmentRecord } from "../../src/core/records.ts";
import { proveStopped, quietSegments } from "../../src/core/stop-proof.ts";
import { mayStartIn, meetSegments, type Tenures } from "../../src/core/tenure.ts";
import type { SimWorker } from "./worker.ts";

/** The segments of one session, and the bots that are active in them, as the store was last seen to say. */
export class Holdings {
  tenures: Tenures = new Map();
  placements: ReadonlyMap<BotId, SegmentId> = new Map();
  /** Whether all that is owned was read at least once. */
  isComplete = false;
  isStoreAway = false;
  readonly #worker: SimWorker;
  readonly #incarnation: string;
  #isReleasing = false;

  constructor(worker: SimWorker, incarnation: string) {
    this.#worker = worker;
    this.#incarnation = incarnation;
  }

  poll(): void {
    const worker = this.#worker;
    const { lifeline, phase, world } = worker;
    if (lifeline === undefined || phase !== "up") return;
    const { sid } = lifeline.session;
    const look = () => ({
      segments: world.mongo.segmentsAsOf(world.readsAt()).filter((s) => s.owner === sid || this.tenures.has(s._id)),
      placements: world.mongo.placements(),
      life: world.mongo.fleet()?.incarnation,
    });
    worker.ask("mongo", look, (seen) => {
      this.isStoreAway = seen === undefined;
      if (seen === undefined) return;
      lifeline.sawLife(seen.life);
      if (worker.phase === "up") this.#meet(sid, seen.segments, seen.placements);
    });
  }

  mayStart(segment: SegmentId, epoch: Epoch): boolean {
    return mayStartIn(this.tenures, this.#released, segment, epoch);
  }

  #meet(sid: string, records: readonly SegmentRecord[], placements: readonly PlacementRecord[]): void {
    const worker = this.#worker;
    const { checker } = worker.world;
    const options = { sid: sid as never, released: this.#released, isDraining: worker.isDraining };
    const { tenures, gained, leaving, lost } = meetSegments(this.tenures, records, options);
    this.tenures = tenures;
    const changed = new Set([...gained, ...leaving, ...lost]);
    const before = this.placements;
    const now = new Map<BotId, SegmentId>();
    this.placements = now;
    for (const { _id, segment, active } of placements) {
      // A deactivation of ours may have landed long after it was given up, and after the user thought better of it.
      const isMistaken = !active && before.has(_id) && !checker.isDisabled(_id);
      if (isMistaken) worker.apply(activate(_id), () => {});
      if ((active || isMistaken) && tenures.has(segment)) now.set(_id, segment);
      if (changed.has(segment) || before.has(_id) !== now.has(_id)) worker.visit(_id);
      else if (now.has(_id) && checker.isDisabled(_id)) worker.visit(_id);
    }
    for (const segment of leaving) checker.sawLeaving(worker, segment, tenures.get(segment)?.epoch);
    for (const segment of gained) worker.world.say(worker.pod, `gains segment ${segment} epoch ${tenures.get(segment)?.epoch}`);
    this.isComplete = true;
    this.#release();
    if (worker.isDraining && tenures.size === 0) this.#leave();
  }

  readonly #released = (segment: SegmentId): Epoch | undefined => this.#worker.pod.releasedIn(this.#incarnation).get(segment);

  #release(): void {
    const worker = this.#worker;
    const quiet = this.#quiet();
    if (quiet.length === 0 || this.#isReleasing) return;
    this.#isReleasing = true;
    worker.pod.list(
      worker.mine((answer) => {
        this.#isReleasing = false;
        if (!answer.ok || worker.phase !== "up") return;
        const { proven, left } = proveStopped(quiet, answer.value);
        for (const bot of left) worker.visit(bot);
        const still = this.#quiet();
        for (const segment of proven) if (still.includes(segment)) this.#letGo(segment);
      }),
    );
  }

  #quiet(): SegmentId[] {
    return quietSegments(this.tenures, this.#worker.busy(), (bot) => this.placements.get(bot));
  }

  #letGo(segment: SegmentId): void {
    const worker = this.#worker;
    const epoch = this.tenures.get(segment)?.epoch;
    if (epoch === undefined) return;
    worker.pod.releasedIn(this.#incarnation).set(segment, epoch);
    worker.world.say(worker.pod, `releases segment ${segment} epoch ${epoch}`);
    worker.apply(releaseSegment(segment, epoch), (outcome) => {
      if (outcome === undefined || this.tenures.get(segment)?.epoch !== epoch) return;
      this.tenures = new Map([...this.tenures].filter(([id]) => id !== segment));
    });
  }

  /** A drained worker says good-bye. */
  #leave(): void {
    const worker = this.#worker;
    const { session } = worker;
    if (session === undefined) return;
    worker.apply(stepDown(session.sid, session.inc, "gone"), (outcome) => {
      if (outcome === "won") worker.world.checker.left(worker);
    });
  }
}
