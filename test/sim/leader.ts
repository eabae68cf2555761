import type { MonoMs } from "../../src/core/clock.ts";
import { type AssignmentStep, operationOf, planAssignment } from "../../src/core/assignment.ts";
import { type Ending, afterRevoking, type Leases, observeSessions, planEndings, type Watches } from "../../src/core/observation.ts";
import { electionTimings, observeLeadership, type Sight, takeLeadership } from "../../src/core/election.ts";
import { reachesStore } from "../../src/core/headless.ts";
import { activate, nextTerm, revokeSegment, settleFleet } from "../../src/core/operations.ts";
import type { FleetRecord, WorkerRecord } from "../../src/core/records.ts";
import { isSettled, observeLife, planBarring, type Settling } from "../../src/core/settling.ts";
import { judgeTerm } from "../../src/core/term.ts";
import type { SimWorker } from "./worker.ts";

type Seen = { readonly workers: readonly WorkerRecord[]; readonly fleet: FleetRecord | undefined; readonly term: number | undefined };

const ROUND_MS = 1_000;
/** What one step has made possible is looked at this soon. */
const NEXT_STEP_MS = 20;

/** The leader's part of a worker process. Standbys observe too. Whether it leads is told from outside, and may be wrong:
 *  safety must not depend on there being one leader. */
export class SimLeader {
  readonly #worker: SimWorker;
  #isLeading = false;
  #term: number | undefined;
  #watches: Watches = new Map();
  #settling: Settling | undefined;
  #leases: Leases = "unread";
  #isBusy = false;
  #failures = 0;
  #watchingSince: number | undefined;
  #readAt: MonoMs | undefined;
  /** The lease of leadership as this process last saw it. */
  sight: Sight | undefined;

  constructor(worker: SimWorker) {
    this.#worker = worker;
  }

  get isLeading(): boolean {
    return this.#isLeading;
  }

  get hasFailed(): boolean {
    return this.#failures >= 3;
  }

  /** Whether it has watched the others for L: who leads without that must watch for so long before it can end a session. */
  get isSeasoned(): boolean {
    const { pod, world } = this.#worker;
    return this.#watchingSince !== undefined && pod.mono() - this.#watchingSince >= world.timings.endMs;
  }

  reset(): void {
    this.resign();
    this.#watchingSince = undefined;
    this.#readAt = undefined;
    this.sight = undefined;
    this.#watches = new Map();
    this.#settling = undefined;
    this.#leases = "unread";
    this.#isBusy = false;
    this.#failures = 0;
  }

  resign(): void {
    this.#isLeading = false;
    this.#term = undefined;
  }

  /** O7. */
  lead(): void {
    const worker = this.#worker;
    this.#isLeading = true;
    this.#failures = 0;
    worker.ask(
      "mongo",
      () => ({ term: worker.world.mongo.term() }),
      (seen) => {
        if (seen === undefined || !this.#isLeading) return this.resign();
        if (seen.term === undefined) {
          const insert = (): "inserted" | "exists" => worker.world.mongo.insert("control", { _id: "leader", term: 1 });
          return worker.ask("mongo", insert, (reply) => (reply === "inserted" ? this.#elected(1) : this.resign()), "write");
        }
        const mine = seen.term + 1;
        worker.apply(nextTerm(seen.term), (outcome) => (outcome === "won" ? this.#elected(mine) : this.resign()));
      },
    );
  }

  #elected(term: number): void {
    if (!this.#isLeading) return;
    this.#term = term;
    this.#worker.world.checker.elected(this.#worker, term);
    this.#worker.world.say(this.#worker.pod, `leads with term ${term}`);
  }

  begin(): void {
    const round = (): void => {
      this.#round();
      this.#worker.after(ROUND_MS, round);
    };
    this.#worker.after(this.#worker.world.chance.between(0, ROUND_MS), round);
    this.#worker.every(ROUND_MS, () => this.#sign());
  }

  /** Renews the lease of leadership, and says with it whether we reach MongoDB. */
  #sign(): void {
    const { session, phase, pod, world } = this.#worker;
    if (!this.#isLeading || session === undefined || phase !== "up") return;
    const record = takeLeadership(session.sid, this.sight?.found, electionTimings(world.timings.renewMs));
    const reaches = reachesStore(session.store.provenAt, this.#readAt, pod.mono(), world.timings);
    const write = (): void => world.kube.lead(record, reaches);
    this.#worker.ask("kube", write, () => {}, "write");
  }

  #round(): void {
    const worker = this.#worker;
    const { mongo, kube } = worker.world;
    if (this.#isBusy || worker.phase !== "up") return;
    this.#isBusy = true;
    let open = 2;
    let seen: Seen | undefined;
    const arrived = (): void => {
      open -= 1;
      if (open > 0) return;
      this.#isBusy = false;
      if (seen === undefined) this.#failures += 1;
      else this.#observe(seen);
    };
    worker.ask(
      "mongo",
      () => ({ workers: mongo.workers(), fleet: mongo.fleet(), term: mongo.term() }),
      (reply) => {
        seen = reply;
        arrived();
      },
    );
    worker.ask(
      "kube",
      () => ({ leases: kube.all(), election: kube.election }),
      (reply) => {
        this.#leases = reply?.leases ?? "unread";
        if (reply !== undefined) this.sight = observeLeadership(this.sight, reply.election, worker.pod.mono());
        arrived();
      },
    );
  }

  #observe({ workers, fleet, term }: Seen): void {
    const worker = this.#worker;
    const now = worker.pod.mono();
    const { timings } = worker.world;
    this.#failures = 0;
    this.#readAt = now;
    this.#watchingSince ??= now;
    this.#watches = observeSessions(this.#watches, workers, this.#leases, now);
    if (fleet !== undefined) this.#settling = observeLife(this.#settling, fleet, this.#leases, now);
    // Somebody leads with a later term: every write of ours is refused. Not every look shows it, for reads may be old.
    if (this.#term !== undefined && judgeTerm(this.#term, term, []) === "lost" && worker.world.chance.is(0.25)) this.resign();
    if (this.#term === undefined || this.#settling === undefined || worker.isDraining) return;
    // In a life of the database that is not ours we own nothing, and judge nobody.
    if (this.#settling.incarnation !== worker.incarnation) return;
    for (const write of planBarring(this.#settling, this.#leases))
      worker.ask(
        "kube",
        () => worker.world.kube.write(write),
        () => {},
        "write",
      );
    for (const ending of planEndings(this.#watches, now, timings)) this.#endSession(ending);
    if (!isSettled(this.#settling, this.#leases, now, timings.endMs)) return;
    if (fleet?.settled !== true) worker.apply(settleFleet(worker.incarnation), () => {});
    this.#admit();
    this.#assign();
  }

  #endSession({ sid, lease, record }: Ending): void {
    const worker = this.#worker;
    const end = (): void =>
      worker.apply(record, (outcome) => {
        if (outcome === "won") worker.world.say(worker.pod, `ends session ${sid}`);
      });
    if (lease === undefined) return end();
    worker.ask(
      "kube",
      () => worker.world.kube.write(lease),
      (reply) => {
        if (reply?.kind !== "written") return;
        this.#watches = afterRevoking(this.#watches, sid, reply.version);
        end();
      },
      "write",
    );
  }

  /** Its admission, in short: what the user wants to run is active. */
  #admit(): void {
    const { mongo, checker } = this.#worker.world;
    for (const { _id, active } of mongo.placements()) if (!active && !checker.isDisabled(_id)) this.#worker.apply(activate(_id), () => {});
  }

  #assign(): void {
    const worker = this.#worker;
    const { mongo } = worker.world;
    worker.ask(
      "mongo",
      () => ({
        workers: mongo.workers().filter((w) => w.fleet === worker.fleet),
        segments: mongo.segmentsAsOf(worker.world.readsAt()),
        active: mongo.placements().flatMap((p) => (p.active ? [p.segment] : [])),
      }),
      (seen) => {
        if (seen === undefined || this.#term === undefined) return;
        if (judgeTerm(this.#term, this.#term, seen.segments) !== "holds") return this.resign();
        const steps = planAssignment({ ...seen, active: [...new Set(seen.active)] });
        let open = steps.length;
        let won = 0;
        const taken = (isDone: boolean): void => {
          open -= 1;
          won += isDone ? 1 : 0;
          if (open === 0 && won > 0) worker.after(NEXT_STEP_MS, () => this.#term !== undefined && this.#assign());
        };
        for (const step of steps) this.#take(step, this.#term, taken);
      },
    );
  }

  #take(step: AssignmentStep, term: number, taken: (isDone: boolean) => void): void {
    const worker = this.#worker;
    const { mongo } = worker.world;
    if (step.kind === "create") {
      const record = { _id: step.segment, state: "free", owner: null, epoch: worker.world.wallSeconds(), term, target: null };
      return worker.ask(
        "mongo",
        () => mongo.insert("segments", record),
        (reply) => taken(reply === "inserted"),
        "write",
      );
    }
    const operation = operationOf(step, term);
    worker.world.checker.planned(operation, step.epoch);
    return worker.apply(operation, (outcome) => {
      if (outcome === "won") worker.world.say(worker.pod, `${step.kind}s segment ${step.segment}`);
      taken(outcome === "won");
    });
  }

  /** A planned move of some segment to some other worker. */
  moveSomething(): void {
    const worker = this.#worker;
    const { mongo, chance } = worker.world;
    const term = this.#term;
    if (term === undefined) return;
    worker.ask(
      "mongo",
      () => ({
        segments: mongo.segments().filter((s) => s.state === "assigned"),
        workers: mongo.workers().filter((w) => w.state === "up"),
      }),
      (seen) => {
        if (seen === undefined || seen.segments.length === 0 || seen.workers.length < 2) return;
        const { _id, owner, epoch } = chance.pick(seen.segments);
        const target = chance.pick(seen.workers.filter((w) => w._id !== owner));
        if (owner !== null) {
          const operation = revokeSegment(_id, epoch, target._id, term);
          worker.world.checker.planned(operation, epoch);
          worker.apply(operation, () => {});
        }
      },
    );
  }
}
