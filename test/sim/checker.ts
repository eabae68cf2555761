import type { Container } from "../../src/core/containers.ts";
import type { BotId, Epoch, SegmentId } from "../../src/core/ids.ts";
import type { Operation } from "../../src/core/operations.ts";
import type { SegmentRecord, StatusRecord, WorkerRecord } from "../../src/core/records.ts";
import { fenceDeadline, isLiving } from "../../src/core/session.ts";
import type { Pod } from "./pod.ts";
import type { Applied } from "./stores.ts";
import type { SimWorker } from "./worker.ts";
import type { World } from "./world.ts";

export class Violation extends Error {
  readonly invariant: string;
  constructor(invariant: string, what: string) {
    super(`${invariant}: ${what}`);
    this.invariant = invariant;
  }
}

/** An owner has read the placements again after so long, and has ended what it began before that. */
const UNKNOWN_MS = 30_000;

/** A leader speaks of what was S ago, its lease counts for 8 s, and word of it takes a write, a round and a look. */
const WORD_MS = (3_000 + 8_000) / 0.95 + 4_000;

/** Watches the true state of the whole world, which no part of it can see, and throws at the first broken invariant. */
export class Checker {
  readonly #world: World;
  readonly #running = new Map<BotId, Map<string, Pod>>();
  /** When a bot was last seen to stop running, in the world's time; absent while it runs. */
  readonly #downSince = new Map<BotId, number>();
  readonly #disabled = new Set<BotId>();
  /** Containers that were rightly asked to stop. */
  readonly #told = new Set<string>();
  readonly #placedAt = new Map<BotId, number>();
  readonly #leaving = new Set<string>();
  readonly #planned = new WeakMap<Operation, Epoch>();
  readonly #incs = new WeakMap<Operation, number>();
  /** The owner of each (segment, epoch), and the highest epoch that was given up. */
  #owners = new Map<string, string>();
  #givenUp = new Map<SegmentId, number>();
  #terms = new Map<number, SimWorker>();
  /** When MongoDB last took a write. */
  #writtenAt = 0;
  /** Container starts, to count needless ones. */
  starts = 0;
  /** The longest that a bot was down since this was last reset, in ms. */
  longestDownMs = 0;

  constructor(world: World) {
    this.#world = world;
  }

  isDisabled(bot: BotId): boolean {
    return this.#disabled.has(bot);
  }

  /** The user changes a bot's document. */
  setEnabled(bot: BotId, enabled: boolean): void {
    if (enabled) {
      this.#disabled.delete(bot);
      this.#downSince.set(bot, this.#world.scheduler.now);
    } else this.#disabled.add(bot);
  }

  /** After a drop the epochs of another life are compared with no others. */
  forgetStores(): void {
    this.#owners = new Map();
    this.#givenUp = new Map();
    this.#terms = new Map();
  }

  /** The bot has no placement, or has one again: for a while its owner may not have seen it. */
  unplaced(bot: BotId): void {
    this.#placedAt.set(bot, this.#world.scheduler.now);
  }

  // What a worker does.

  /** It has seen that the segment is on its way out. */
  sawLeaving(worker: SimWorker, segment: SegmentId, epoch: Epoch | undefined): void {
    this.#leaving.add(`${worker.session?.sid} ${worker.session?.inc} ${segment} ${epoch}`);
  }

  /** I3: it sends for a start only where it has not seen that. */
  starting(worker: SimWorker, segment: SegmentId, epoch: Epoch): void {
    if (this.#leaving.has(`${worker.session?.sid} ${worker.session?.inc} ${segment} ${epoch}`))
      throw new Violation("I3", `${worker.pod.uid} starts a bot of segment ${segment}, which it has seen leaving in epoch ${epoch}`);
  }

  // What dockerd does.

  started(pod: Pod, container: Container): void {
    const { bot, segment, epoch, sid } = container;
    this.starts += 1;
    const running = this.#running.get(bot) ?? new Map<string, Pod>();
    this.#running.set(bot, running);
    running.set(container.id, pod);
    this.#world.say(pod, `${bot} runs, epoch ${epoch}`);
    if (running.size > 1)
      throw new Violation("I1", `${bot} runs ${running.size} times: ${[...running.values()].map((p) => p.uid).join(", ")}`);
    const owner = this.#owners.get(`${segment} ${epoch}`);
    if (owner !== undefined && owner !== sid) throw new Violation("I2", `${bot} starts for ${sid} under epoch ${epoch} of ${owner}`);
    if (epoch <= (this.#givenUp.get(segment) ?? 0))
      throw new Violation("I3", `${bot} starts under epoch ${epoch} of segment ${segment}, which was given up`);
    if (this.#world.workers.some((w) => w.pod === pod && w.fleet !== "ours"))
      throw new Violation("I1", `${bot} is started by a second fleet`);
    const since = this.#downSince.get(bot) ?? 0;
    this.longestDownMs = Math.max(this.longestDownMs, this.#world.scheduler.now - since);
    this.#downSince.delete(bot);
  }

  ended(pod: Pod, { bot, id }: Container): void {
    this.#running.get(bot)?.delete(id);
    this.#downSince.set(bot, this.#world.scheduler.now);
    this.#world.say(pod, `${bot} runs no more`);
  }

  /** A worker asks dockerd to end this container. */
  stopping(pod: Pod, container: Container): void {
    const { bot, segment, epoch, sid } = container;
    // What was rightly begun is brought to its end: the bot may have been told already.
    if (this.#told.has(container.id) || container.state !== "running") return;
    const worker = this.#world.workers.find((w) => w.pod === pod);
    const record = this.#world.mongo.get<SegmentRecord>("segments", segment);
    const isCurrent = worker?.session?.sid === sid && record?.owner === sid && record.epoch === epoch && record.state === "assigned";
    const isGivenUp = worker === undefined || worker.phase !== "up" || worker.isDraining || worker.isGivingUp;
    const isLeaving = isGivenUp || this.#isSilent(worker);
    // Without its placement nobody knows the bot, until the leader places it again.
    const isPlaced = (this.#placedAt.get(bot) ?? 0) <= this.#world.scheduler.now - UNKNOWN_MS;
    if (isCurrent && !isLeaving && isPlaced && !this.#disabled.has(bot))
      throw new Violation("I10", `${bot} is killed by its owner ${sid} under its own epoch ${epoch}`);
    this.#told.add(container.id);
  }

  /** Whether the worker may believe that it lost its right to run bots. */
  #isSilent(worker: SimWorker): boolean {
    const { session, pod } = worker;
    const { stopMs } = this.#world.timings;
    const proven = Math.max(session?.store.provenAt ?? 0, session?.lease.provenAt ?? 0);
    return session?.lost !== undefined || pod.mono() - proven >= stopMs - 1;
  }

  /** I9: a worker gives its bots up only where MongoDB was there for somebody, as long ago as word of that can be old. */
  gaveUp({ pod }: SimWorker): void {
    const silentMs = this.#world.scheduler.now - this.#writtenAt;
    if (silentMs > WORD_MS)
      throw new Violation("I9", `${pod.uid} gives up its bots, and MongoDB has taken no write for ${Math.round(silentMs)} ms`);
  }

  // What the stores do.

  applied({ operation, outcome, before, after }: Applied): void {
    this.#writtenAt = this.#world.scheduler.now;
    this.#world.coverage.count(`${operation.op} ${outcome}`);
    if (outcome === "missed" || after === undefined) return;
    if (operation.collection === "segments")
      this.#segmentWritten(before as SegmentRecord | undefined, after as object as SegmentRecord, operation);
    else if (operation.collection === "workers")
      this.#workerWritten(before as WorkerRecord | undefined, after as object as WorkerRecord, operation);
    else if (operation.collection === "status") {
      const past = (before as StatusRecord | undefined)?.epoch ?? 0;
      const now = (after as object as StatusRecord).epoch;
      if (now < past) throw new Violation("I5", `the status of ${String(after._id)} goes back from epoch ${past} to ${now}`);
    }
  }

  /** I12: what others may conclude from a write is true when it lands. */
  #concluded(op: string, segment: SegmentId): void {
    for (const [bot, running] of this.#running)
      for (const [id, pod] of running)
        if (pod.containers.get(bot)?.segment === segment)
          throw new Violation("I12", `${op} frees segment ${segment} while ${bot} runs at ${pod.uid} (${id})`);
  }

  #endedEarly({ _id: sid }: WorkerRecord): void {
    const { workers, timings } = this.#world;
    const worker = workers.find((w) => w.session?.sid === sid && w.phase === "up" && !w.pod.isLost);
    const deadline = worker?.session === undefined ? undefined : fenceDeadline(worker.session, timings);
    if (worker !== undefined && deadline !== undefined && worker.pod.mono() < deadline)
      throw new Violation("I12", `session ${sid} is ended ${Math.round(deadline - worker.pod.mono())} ms before its fence strikes`);
  }

  /** What its planner saw: a tenure that nobody meant to end is not ended. */
  planned(operation: Operation, epoch: Epoch): void {
    this.#planned.set(operation, epoch);
  }

  #segmentWritten(before: SegmentRecord | undefined, after: SegmentRecord, operation: Operation): void {
    const { op } = operation;
    const { _id, epoch, owner, state, term } = after;
    if (before !== undefined && epoch < before.epoch)
      throw new Violation("I2", `segment ${_id} goes back from epoch ${before.epoch} to ${epoch}`);
    if (before !== undefined && term < before.term)
      throw new Violation("I11", `${op} of term ${term} lands on segment ${_id} after term ${before.term}`);
    if (owner !== null) {
      const key = `${_id} ${epoch}`;
      const known = this.#owners.get(key);
      if (known !== undefined && known !== owner)
        throw new Violation("I2", `segment ${_id} has two owners under epoch ${epoch}: ${known} and ${owner}`);
      this.#owners.set(key, owner);
    }
    if (state === "revoking" && owner === null) throw new Violation("I8", `segment ${_id} is revoked from nobody: who should release it?`);
    if (op === "O4" && before !== undefined && this.#planned.get(operation) !== undefined && this.#planned.get(operation) !== before.epoch)
      throw new Violation("I9", `segment ${_id} is revoked in epoch ${before.epoch}, which nobody planned`);
    if (state === "free") this.#concluded(op, _id);
    if (state === "free") this.#givenUp.set(_id, Math.max(this.#givenUp.get(_id) ?? 0, epoch));
  }

  #workerWritten(before: WorkerRecord | undefined, after: WorkerRecord, operation: Operation): void {
    const { op } = operation;
    const inc = this.#incs.get(operation);
    if (inc !== undefined && after.inc !== inc)
      throw new Violation("I13", `${op} of process ${inc} lands on process ${after.inc} of session ${after._id}`);
    if (op === "O3" && before?.state !== "dead") this.#endedEarly(after);
    if (before !== undefined && !isLiving(before.state) && (op === "O0" || before.state !== after.state))
      throw new Violation("I4", `${op} changes session ${after._id} from ${before.state} to ${after.state}`);
  }

  /** I13: a number names one process of a session, and only the newest of them renews it. */
  sent(operation: Operation, inc: number): void {
    this.#incs.set(operation, inc);
  }

  elected(worker: SimWorker, term: number): void {
    const other = this.#terms.get(term);
    if (other !== undefined && other !== worker)
      throw new Violation("I11", `${other.pod.uid} and ${worker.pod.uid} lead with one term ${term}`);
    this.#terms.set(term, worker);
  }

  /** A worker has said good-bye. */
  left(worker: SimWorker): void {
    for (const [bot, running] of this.#running)
      for (const pod of running.values())
        if (pod === worker.pod) throw new Violation("I3", `${worker.pod.uid} is gone, and ${bot} still runs there`);
    worker.pod.lose();
    worker.die(undefined);
  }

  /** A pod and all that runs there is no more. */
  lost(pod: Pod): void {
    for (const [bot, running] of this.#running)
      for (const [id, where] of running) {
        if (where !== pod) continue;
        running.delete(id);
        this.#downSince.set(bot, this.#world.scheduler.now);
      }
  }

  /** I8: after a calm everything is as it should be. */
  settled(): void {
    const { bots, mongo } = this.#world;
    const workers = new Map(mongo.workers().map((w) => [w._id as string, w]));
    for (const { bot, segment } of bots) {
      const running = [...(this.#running.get(bot)?.values() ?? [])];
      if (this.#disabled.has(bot)) {
        if (running.length > 0) throw new Violation("I8", `${bot} is disabled and still runs`);
        continue;
      }
      const record = mongo.get<SegmentRecord>("segments", segment);
      const owner = record?.owner ?? undefined;
      const state = owner === undefined ? undefined : workers.get(owner)?.state;
      if (record?.state !== "assigned" || state !== "up")
        throw new Violation(
          "I8",
          `segment ${segment} is ${record?.state ?? "unknown"}, its owner ${owner ?? "nobody"} is ${state ?? "unknown"}`,
        );
      if (running.length !== 1) throw new Violation("I8", `${bot} should run and runs ${running.length} times`);
      const container = running[0]?.containers.get(bot);
      if (container?.sid !== owner || container?.epoch !== record.epoch)
        throw new Violation("I8", `${bot} runs under ${container?.sid} ${container?.epoch}, not ${owner} ${record.epoch}`);
      if (container?.segment !== segment) throw new Violation("I7", `${bot} runs in segment ${container?.segment}, not ${segment}`);
    }
    for (const record of mongo.segments())
      if (record.state === "revoking") throw new Violation("I8", `segment ${record._id} is still being revoked`);
  }
}
