import * as fc from "fast-check";
import { type AssignmentPolicy, type AssignmentStep, type Observed, planAssignment } from "../../src/core/assignment.ts";
import type { SegmentId, SessionId } from "../../src/core/ids.ts";
import type { SegmentRecord, SessionState, WorkerRecord } from "../../src/core/records.ts";
import { trackWaiting, type Waiting } from "../../src/core/waiting.ts";
import { aSegment, at, aWorker, epoch, segment, sid } from "./builders.ts";

/** A fleet on paper: takes the leader's steps as the store would, and lets owners release what is revoked. */
export class PlannedFleet {
  now = 0;
  policy: AssignmentPolicy;
  readonly segments = new Map<SegmentId, SegmentRecord>();
  readonly workers = new Map<SessionId, WorkerRecord>();
  /** How often each segment was given to somebody. */
  readonly given = new Map<SegmentId, number>();
  #rest: Omit<Observed, "segments" | "workers" | "waiting">;
  #waiting: Waiting = new Map();

  constructor(observed: Observed, policy: AssignmentPolicy) {
    for (const record of observed.segments) this.segments.set(record._id, record);
    for (const record of observed.workers) this.workers.set(record._id, record);
    this.#rest = observed;
    this.policy = policy;
    this.pass(0);
  }

  get observed(): Observed {
    return { ...this.#rest, segments: [...this.segments.values()], workers: [...this.workers.values()], waiting: this.#waiting };
  }

  set(rest: Partial<Omit<Observed, "segments" | "workers" | "waiting">>): void {
    this.#rest = { ...this.#rest, ...rest };
    this.pass(0);
  }

  add(id: string, over: Partial<WorkerRecord> = {}, generation = 0): void {
    this.workers.set(sid(id), aWorker(id, over));
    this.set({ generations: new Map([...(this.#rest.generations ?? []), [sid(id), generation]]) });
  }

  turn(id: string, state: SessionState): void {
    const record = this.workers.get(sid(id));
    if (record !== undefined) this.workers.set(record._id, { ...record, state });
    this.pass(0);
  }

  pass(ms: number): void {
    this.now += ms;
    this.#waiting = trackWaiting(this.#waiting, this.observed, at(this.now));
  }

  plan(): AssignmentStep[] {
    return planAssignment(this.observed, this.policy);
  }

  apply(steps: readonly AssignmentStep[]): void {
    for (const step of steps) {
      const record = this.segments.get(step.segment) ?? aSegment(step.segment);
      this.segments.set(step.segment, after(record, step));
      if (step.kind === "assign") this.given.set(step.segment, (this.given.get(step.segment) ?? 0) + 1);
    }
    this.pass(0);
  }

  /** Owners let go: of what was taken from them, unless a test says otherwise. */
  release(which: (record: SegmentRecord) => boolean = ({ state }) => state === "revoking"): void {
    for (const record of this.segments.values())
      if (record.owner !== null && which(record)) this.segments.set(record._id, { ...record, state: "free", owner: null });
    this.pass(0);
  }

  /** Rounds of `roundMs` until nothing is left to do, not even after one more of them in which draining owners let go of
   *  all that is left; gives their number, or `limit`. */
  settle(limit: number, roundMs = 0): number {
    let quiet = false;
    for (let round = 0; round < limit; round++) {
      const steps = this.plan();
      const still = steps.length === 0 && ![...this.segments.values()].some(({ state }) => state === "revoking");
      if (still && (quiet || roundMs === 0)) return round;
      quiet = still;
      this.apply(steps);
      this.release(
        ({ state, owner }) => state === "revoking" || (still && owner !== null && this.workers.get(owner)?.state === "draining"),
      );
      this.pass(roundMs);
    }
    return limit;
  }

  owner(id: number): string | null {
    return this.segments.get(segment(id))?.owner ?? null;
  }

  /** Active segments of each worker that is up. */
  loads(): Record<string, number> {
    const loads: Record<string, number> = {};
    for (const { _id, state } of this.workers.values()) if (state === "up") loads[_id] = 0;
    for (const id of this.#rest.active) {
      const owner = this.owner(id);
      if (owner !== null && owner in loads) loads[owner] = (loads[owner] ?? 0) + 1;
    }
    return loads;
  }
}

function after(record: SegmentRecord, step: AssignmentStep): SegmentRecord {
  switch (step.kind) {
    case "create":
      return record;
    case "free":
      return { ...record, state: "free", owner: null, target: null };
    case "assign":
      return { ...record, state: "assigned", owner: step.to, target: null, epoch: epoch(record.epoch + 1) };
    case "withdraw":
      return { ...record, target: null };
    case "announce":
      return { ...record, target: step.target, ready: null };
    case "revoke":
      return { ...record, state: "revoking", target: step.target };
  }
}

const names = ["a", "b", "c", "d", "e", "f"];
/** Few have much, so that there is something to spread. */
const someOwner = fc.constantFrom("a", "a", "a", "b", "b", "c", "d", "stranger");
const someName = fc.constantFrom(...names, "stranger");

const arbRecord = (id: number): fc.Arbitrary<SegmentRecord> =>
  fc
    .record({ state: fc.constantFrom("free", "assigned", "assigned", "revoking"), owner: someOwner, target: fc.option(someName) })
    .map(({ state, owner, target }) =>
      aSegment(id, {
        state,
        owner: state === "free" ? null : sid(owner),
        target: target === null || state === "assigned" ? null : sid(target),
      }),
    );

/** Any fleet, also such as no leader would make: each state a crash, an earlier version or a second leader could leave. */
export const arbObserved: fc.Arbitrary<Observed> = fc
  .record({
    active: fc.uniqueArray(fc.nat(14)),
    known: fc.uniqueArray(fc.nat(14)),
    workers: fc.uniqueArray(fc.constantFrom(...names)),
    leader: fc.option(someName),
    atCap: fc.boolean(),
  })
  .chain(({ active, known, workers, leader, atCap }) =>
    fc
      .record({
        segments: fc.tuple(...known.map(arbRecord)),
        workers: fc.tuple(
          ...workers.map((id) =>
            fc
              .record({
                state: fc.oneof(
                  { weight: 4, arbitrary: fc.constant("up" as const) },
                  fc.constantFrom("draining" as const, "gone" as const, "dead" as const),
                ),
                capacity: fc.constantFrom(2, 5, 500),
              })
              .map((over) => aWorker(id, over)),
          ),
        ),
        generations: fc.tuple(...workers.map((id) => fc.nat(1).map((n): [SessionId, number] => [sid(id), n]))),
        bots: fc.tuple(...active.map((id) => fc.integer({ min: 1, max: 4 }).map((n): [SegmentId, number] => [segment(id), n]))),
        oneGeneration: fc.boolean(),
      })
      .map(({ segments, workers, generations, bots, oneGeneration }) => ({
        active: active.map(segment),
        segments,
        workers,
        atCap,
        bots: new Map(bots),
        ...(leader !== null && { leader: sid(leader) }),
        ...(!oneGeneration && { generations: new Map(generations) }),
      })),
  );

export const arbPolicy: fc.Arbitrary<AssignmentPolicy> = fc.record({
  patienceMs: fc.constantFrom(0, 30_000),
  lostPatienceMs: fc.constantFrom(0, 30_000),
});
