import type { FoundDocument } from "../../src/core/bot.ts";
import { StoreUnreachableError } from "../../src/core/errors.ts";
import { type BotId, compareIds, type RawId, type SegmentId, type SessionId } from "../../src/core/ids.ts";
import type { ChangeFeed, Hint, Watched } from "../../src/core/ledger.ts";
import type { Alternative, Collection, Operation, Outcome, RecordId, Test } from "../../src/core/operations.ts";
import type { FleetRecord, PlacementRecord, RunRecord, SegmentRecord, StatusRecord, WorkerRecord } from "../../src/core/records.ts";
import type { LeaderStore } from "../../src/leader/ports.ts";
import type { WorkerStore } from "../../src/worker/ports.ts";

type Fields = Readonly<Record<string, unknown>>;
type Scalar = string | number | boolean | null;
type Row = Fields & { readonly _id: RecordId };
type Table = Collection | "runs" | "fleet";
type Method = Exclude<keyof (LeaderStore & WorkerStore), symbol>;

const MAX_RUNS = 50;
const PLACEMENT_BATCH = 500;

/** One compare-and-set on a plain document: what the server does with the same data.
 *  `after` is the document as it stands then; undefined = there is none. */
function applyOperation(operation: Operation, before: Row | undefined): { readonly outcome: Outcome; readonly after: Row | undefined } {
  const { id, where, set, add, upsert, remove } = operation;
  if (before === undefined) {
    if (upsert !== true) return { outcome: "missed", after: undefined };
    return { outcome: "won", after: { _id: id, ...set, ...add } };
  }
  if (where.length > 0 && !where.some((alternative) => passes(before, alternative))) return { outcome: "missed", after: before };
  if (remove === true) return { outcome: "won", after: undefined };
  const sums = Object.entries(add ?? {}).map(([field, by]) => [field, Number(before[field] ?? 0) + by] as const);
  return { outcome: "won", after: { ...before, ...set, ...Object.fromEntries(sums) } };
}

function passes(row: Row, alternative: Alternative): boolean {
  return Object.entries(alternative).every(([field, test]) => passesTest((row[field] ?? null) as Scalar, test));
}

/** As MongoDB compares: a missing field equals null, and an order holds between numbers only. */
function passesTest(value: Scalar, test: Test): boolean {
  if ("is" in test) return value === test.is;
  if ("isNot" in test) return value !== test.isNot;
  if ("in" in test) return test.in.includes(value);
  if (typeof value !== "number") return false;
  return "atMost" in test ? value <= test.atMost : value < test.below;
}

/** MongoDB in memory, behind the ports; the contract suite runs over it and over the real one. Hints are given at once,
 *  within the write, so that a simulation decides by itself when they arrive. */
export class FakeStore implements LeaderStore, WorkerStore, ChangeFeed {
  readonly #tables = new Map<Table, Map<string, Row>>();
  readonly #bots = new Map<string, FoundDocument>();
  readonly #watchers = new Set<{ readonly what: Watched; readonly onHint: (hint: Hint) => void }>();
  readonly #faults = new Map<Method, Error[]>();
  readonly #lost = new Map<Method, number>();
  #away = false;

  // What a test does to it.

  /** Writes the user's collection: inserts or replaces. */
  putBot(raw: RawId, document: Fields = {}): void {
    this.#bots.set(keyOf(raw), { raw, document: { _id: textOf(raw), ...document } });
    this.#hintBot(raw);
  }

  deleteBot(raw: RawId): void {
    if (this.#bots.delete(keyOf(raw))) this.#hintBot(raw);
  }

  /** The method's next call fails and does nothing. */
  failNext(method: Method, error: Error = unreachable(method)): void {
    this.#faults.set(method, [...(this.#faults.get(method) ?? []), error]);
  }

  /** The method's next call does its work, but its answer is lost. */
  loseReply(method: Method): void {
    this.#lost.set(method, (this.#lost.get(method) ?? 0) + 1);
  }

  /** While it is away every call fails and nothing happens; when it is back, watchers are told to look at everything. */
  set away(away: boolean) {
    this.#away = away;
    if (!away) for (const { onHint } of this.#watchers) onHint({ kind: "all" });
  }

  /** A collection as it stands, for a test to look at. */
  rows(table: Table): readonly Row[] {
    return [...this.#of(table).values()].map((row) => structuredClone(row));
  }

  /** Forgets all of `runtime.*`, as an operator who drops it. */
  dropRuntime(): void {
    this.#tables.clear();
    for (const { what, onHint } of this.#watchers) if (what !== "bots") onHint({ kind: "all" });
  }

  // The ports.

  apply(operation: Operation): Promise<Outcome> {
    return this.#call("apply", () => {
      const table = this.#of(operation.collection);
      const key = JSON.stringify(operation.id);
      const { outcome, after } = applyOperation(operation, table.get(key));
      if (outcome === "missed") return outcome;
      if (after === undefined) table.delete(key);
      else table.set(key, structuredClone(after));
      this.#hint(operation.collection, operation.id);
      return outcome;
    });
  }

  insert(collection: Collection, record: { readonly _id: string | number } & Fields): Promise<"inserted" | "exists"> {
    return this.#call("insert", () => {
      const key = JSON.stringify(record._id);
      if (this.#of(collection).has(key)) return "exists";
      this.#of(collection).set(key, structuredClone(record));
      this.#hint(collection, record._id);
      return "inserted";
    });
  }

  stringBots(signal: AbortSignal): AsyncGenerator<FoundDocument> {
    return this.#botsOf("stringBots", "string", signal);
  }

  objectIdBots(signal: AbortSignal): AsyncGenerator<FoundDocument> {
    return this.#botsOf("objectIdBots", "objectId", signal);
  }

  otherBots(signal: AbortSignal): AsyncGenerator<FoundDocument> {
    return this.#botsOf("otherBots", "other", signal);
  }

  findBots(ids: readonly BotId[]): Promise<readonly FoundDocument[]> {
    const wanted = new Set<string>(ids);
    return this.#call("findBots", () => this.#sortedBots().filter(({ raw }) => raw.kind !== "other" && wanted.has(textOf(raw))));
  }

  async *allPlacements(signal: AbortSignal): AsyncGenerator<PlacementRecord> {
    const all = await this.#call("allPlacements", () => this.#records<PlacementRecord>("placements"));
    yield* untilAborted(
      all.sort((a, b) => compareIds(a._id, b._id)),
      signal,
    );
  }

  async *activePlacements(segments: readonly SegmentId[], signal: AbortSignal): AsyncGenerator<readonly PlacementRecord[]> {
    const all = await this.#call("activePlacements", () =>
      this.#records<PlacementRecord>("placements").filter(({ segment, active }) => active && segments.includes(segment)),
    );
    const batches = Array.from({ length: Math.ceil(all.length / PLACEMENT_BATCH) }, (_, i) =>
      all.slice(i * PLACEMENT_BATCH, (i + 1) * PLACEMENT_BATCH),
    );
    yield* untilAborted(batches, signal);
  }

  findPlacements(ids: readonly BotId[]): Promise<readonly PlacementRecord[]> {
    return this.#call("findPlacements", () => this.#records<PlacementRecord>("placements").filter(({ _id }) => ids.includes(_id)));
  }

  findStatuses(ids: readonly BotId[]): Promise<readonly StatusRecord[]> {
    const wanted = new Set<unknown>(ids);
    return this.#call("findStatuses", () => this.#records<StatusRecord>("status").filter(({ _id }) => wanted.has(_id)));
  }

  activeSegments(): Promise<readonly SegmentId[]> {
    return this.#call("activeSegments", () => {
      const active = this.#records<PlacementRecord>("placements").filter((placement) => placement.active);
      return [...new Set(active.map(({ segment }) => segment))];
    });
  }

  segments(): Promise<readonly SegmentRecord[]> {
    return this.#call("segments", () => this.#records<SegmentRecord>("segments"));
  }

  ownedSegments(sid: SessionId): Promise<readonly SegmentRecord[]> {
    return this.#call("ownedSegments", () => this.#records<SegmentRecord>("segments").filter(({ owner }) => owner === sid));
  }

  workers(): Promise<readonly WorkerRecord[]> {
    return this.#call("workers", () => this.#records<WorkerRecord>("workers"));
  }

  fleet(): Promise<FleetRecord | undefined> {
    return this.#call("fleet", () => this.#records<FleetRecord>("control").find(({ _id }) => _id === "fleet"));
  }

  leaderTerm(): Promise<number | undefined> {
    return this.#call("leaderTerm", () => this.#records<Row & { term: number }>("control").find(({ _id }) => _id === "leader")?.term);
  }

  countInvalid(): Promise<number> {
    return this.#call("countInvalid", () => this.#records<StatusRecord>("status").filter(({ state }) => state === "invalid").length);
  }

  publishFleet(view: Fields): Promise<void> {
    return this.#call("publishFleet", () => void this.#of("fleet").set('"fleet"', structuredClone({ _id: "fleet", ...view })));
  }

  recordRun(run: RunRecord): Promise<void> {
    return this.#call("recordRun", () => {
      this.#of("runs").set(JSON.stringify(run._id), structuredClone(run));
      const mine = this.#records<RunRecord>("runs").filter(({ bot }) => bot === run.bot);
      const old = mine.sort((a, b) => b.ended.getTime() - a.ended.getTime()).slice(MAX_RUNS);
      for (const { _id } of old) this.#of("runs").delete(JSON.stringify(_id));
    });
  }

  async watch(what: Watched, onHint: (hint: Hint) => void, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const watcher = { what, onHint };
    this.#watchers.add(watcher);
    onHint({ kind: "all" });
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    this.#watchers.delete(watcher);
  }

  async #call<T>(method: Method, act: () => T): Promise<T> {
    await Promise.resolve(); // no call has an effect before its caller goes on
    if (this.#away) throw unreachable(method);
    const [fault, ...later] = this.#faults.get(method) ?? [];
    if (fault !== undefined) {
      this.#faults.set(method, later);
      throw fault;
    }
    const answer = act();
    const lost = this.#lost.get(method) ?? 0;
    if (lost === 0) return answer;
    this.#lost.set(method, lost - 1);
    throw unreachable(method);
  }

  #of(table: Table): Map<string, Row> {
    const known = this.#tables.get(table);
    if (known !== undefined) return known;
    const fresh = new Map<string, Row>();
    this.#tables.set(table, fresh);
    return fresh;
  }

  #records<T>(table: Table): T[] {
    return this.rows(table) as unknown as T[];
  }

  #sortedBots(): FoundDocument[] {
    return [...this.#bots.values()].sort((a, b) => compareIds(textOf(a.raw), textOf(b.raw)));
  }

  async *#botsOf(method: Method, kind: RawId["kind"], signal: AbortSignal): AsyncGenerator<FoundDocument> {
    signal.throwIfAborted();
    const all = await this.#call(method, () => this.#sortedBots().filter(({ raw }) => raw.kind === kind));
    yield* untilAborted(all, signal);
  }

  #hint(collection: Collection, id: RecordId): void {
    for (const { what, onHint } of this.#watchers)
      if (what === collection && typeof id !== "object") onHint({ kind: "some", ids: [String(id)] });
  }

  #hintBot(raw: RawId): void {
    const hint: Hint = raw.kind === "other" ? { kind: "unusable" } : { kind: "some", ids: [textOf(raw)] };
    for (const { what, onHint } of this.#watchers) if (what === "bots") onHint(hint);
  }
}

function* untilAborted<T>(items: Iterable<T>, signal: AbortSignal): Generator<T> {
  for (const item of items) {
    signal.throwIfAborted();
    yield item;
  }
}

const unreachable = (method: Method): Error => new StoreUnreachableError(`Cannot reach the store to ${method}`);
const textOf = (raw: RawId): string => (raw.kind === "string" ? raw.value : raw.kind === "objectId" ? raw.hex : raw.text);
/** A string and the ObjectId that it spells are two documents. */
const keyOf = (raw: RawId): string => `${raw.kind} ${textOf(raw)}`;
