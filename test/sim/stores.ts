import type { SessionId } from "../../src/core/ids.ts";
import type { FoundLeadership, Leadership } from "../../src/core/election.ts";
import type { FoundLease, LeaseReply, LeaseWrite, WorkerLease } from "../../src/core/lease.ts";
import type { Collection, Operation, Outcome, RecordId } from "../../src/core/operations.ts";
import type { FleetRecord, PlacementRecord, SegmentRecord, WorkerRecord } from "../../src/core/records.ts";
import { applyTo, type Doc } from "../support/apply-operation.ts";

/** Changes of segments that are remembered for reads that are out of date. */
const PAST = 40;

export type Applied = {
  readonly operation: Operation;
  readonly outcome: Outcome;
  readonly before: Doc | undefined;
  readonly after: Doc | undefined;
};

/** MongoDB as one majority-acknowledged document store: what is applied is applied for good. */
export class SimMongo {
  readonly #records = new Map<string, Doc>();
  readonly #clock: () => number;
  /** The segments after each of their last changes. */
  readonly #past: { readonly at: number; readonly segments: SegmentRecord[] }[] = [];
  readonly #onApplied: (applied: Applied) => void;

  constructor(clock: () => number, onApplied: (applied: Applied) => void) {
    this.#clock = clock;
    this.#onApplied = onApplied;
  }

  apply(operation: Operation): Outcome {
    const key = keyOf(operation.collection, operation.id);
    const before = this.#records.get(key);
    const { outcome, document } = applyTo(before, operation);
    if (outcome === "won") {
      if (document === undefined) this.#records.delete(key);
      else this.#records.set(key, document);
    }
    if (operation.collection === "segments") this.#keepSegments();
    this.#onApplied({ operation, outcome, before, after: document });
    return outcome;
  }

  insert(collection: Collection, record: Doc & { readonly _id: string | number }): "inserted" | "exists" {
    const key = keyOf(collection, record._id);
    if (this.#records.has(key)) return "exists";
    this.#records.set(key, record);
    if (collection === "segments") this.#keepSegments();
    return "inserted";
  }

  all<T extends object>(collection: Collection): T[] {
    const found: Doc[] = [];
    for (const [key, record] of this.#records) if (key.startsWith(collection)) found.push(record);
    return found as object[] as T[];
  }

  /** A record in the shape that the one who asks knows it to have. */
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the one who asks knows what stands there
  get<T extends object>(collection: Collection, id: RecordId): T | undefined {
    return this.#records.get(keyOf(collection, id)) as object as T | undefined;
  }

  workers = (): WorkerRecord[] => this.all("workers");
  segments = (): SegmentRecord[] => this.all("segments");
  /** As a primary that was deposed and does not know it answers: what stood there a moment ago. */
  segmentsAsOf(at: number): SegmentRecord[] {
    if (at >= this.#clock()) return this.segments();
    return this.#past.findLast((past) => past.at <= at)?.segments ?? this.#past[0]?.segments ?? [];
  }

  #keepSegments(): void {
    this.#past.push({ at: this.#clock(), segments: this.segments() });
    if (this.#past.length > PAST) this.#past.shift();
  }

  placements = (): PlacementRecord[] => this.all("placements");
  fleet = (): FleetRecord | undefined => this.get("control", "fleet");
  term = (): number | undefined => this.get<{ term: number }>("control", "leader")?.term;

  /** Somebody drops `runtime.*`. */
  drop(): void {
    this.#records.clear();
    this.#past.length = 0;
  }
}

/** The Leases of the API server: each write gives the object a version that no other object or write has. */
export class SimLeases {
  readonly #leases = new Map<SessionId, FoundLease>();
  readonly #onWritten: (write: LeaseWrite, reply: LeaseReply["kind"]) => void;
  #versions = 0;

  constructor(onWritten: (write: LeaseWrite, reply: LeaseReply["kind"]) => void) {
    this.#onWritten = onWritten;
  }

  write(write: LeaseWrite): LeaseReply {
    const reply = this.#write(write);
    this.#onWritten(write, reply.kind);
    return reply;
  }

  #write({ sid, put, expect }: LeaseWrite): LeaseReply {
    if (this.#leases.get(sid)?.version !== expect) return { kind: "conflict" };
    return { kind: "written", version: this.put(put) };
  }

  put(lease: WorkerLease): string {
    const version = String(++this.#versions);
    this.#leases.set(lease.sid, { lease, version });
    return version;
  }

  get(sid: SessionId): FoundLease | undefined {
    return this.#leases.get(sid);
  }

  all(): ReadonlyMap<SessionId, FoundLease> {
    return new Map(this.#leases);
  }

  /** The lease of leadership. Who leads is told from outside, so whoever believes to lead writes it. */
  election: FoundLeadership | undefined;

  lead(record: Leadership, reachesStore: boolean): void {
    this.election = { record, version: String(++this.#versions), reachesStore };
  }
}

function keyOf(collection: Collection, id: RecordId): string {
  return `${collection} ${typeof id === "object" ? id.document : id}`;
}
