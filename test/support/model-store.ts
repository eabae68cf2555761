import type { FoundDocument } from "../../src/core/bot.ts";
import { StoreUnreachableError } from "../../src/core/errors.ts";
import { type BotId, botIdOf, compareIds, type RawId, type SegmentId, type SessionId } from "../../src/core/ids.ts";
import type { ChangeFeed, Hint, Watched } from "../../src/core/ledger.ts";
import type { Collection, Operation, Outcome, RecordId } from "../../src/core/operations.ts";
import type {
  FleetRecord,
  FleetView,
  PlacementRecord,
  RunRecord,
  SegmentRecord,
  StatusRecord,
  WorkerRecord,
} from "../../src/core/records.ts";
import type { LeaderStore } from "../../src/leader/ports.ts";
import { rawIdOf } from "../../src/mongo/bots.ts";
import type { WorkerStore } from "../../src/worker/ports.ts";
import { applyTo, type Doc } from "./apply-operation.ts";

type Method = keyof LeaderStore | keyof WorkerStore;
type Act = () => void | Promise<void>;
type Watcher = { readonly what: Watched; readonly onHint: (hint: Hint) => void };

/** MongoDB in memory, behind the ports of leader and worker. The contract suite runs over it and over a real server.
 *  Every call yields once before it acts, so that callers interleave as they would over a network. */
export class ModelStore implements LeaderStore, WorkerStore, ChangeFeed {
  /** Writes that were asked for and reached the store, in order. */
  readonly applied: { readonly operation: Operation; readonly outcome: Outcome }[] = [];
  readonly runs = new Map<string, RunRecord>();
  published: FleetView | undefined;
  /** Hints are lost while this is set. */
  muted = false;
  /** Streams that were begun and not yet ended. */
  openStreams = 0;
  readonly #records = new Map<Collection, Map<string, Doc>>();
  readonly #bots = new Map<string, FoundDocument>();
  readonly #before = new Map<Method, Act[]>();
  readonly #lost = new Map<Method, boolean[]>();
  readonly #watchers = new Set<Watcher>();
  #away = false;

  // What a test does to it.

  /** The user writes a document, `_id` and all. */
  putBot(document: { readonly _id: unknown } & Readonly<Record<string, unknown>>): void {
    const raw = rawIdOf(document._id);
    this.#bots.set(keyOf(raw), { raw, document });
    this.#hintBot(raw);
  }

  deleteBot(_id: unknown): void {
    const raw = rawIdOf(_id);
    if (this.#bots.delete(keyOf(raw))) this.#hintBot(raw);
  }

  /** Puts a record as it is, unseen by `applied`. */
  put(collection: Collection, record: Doc): void {
    this.#of(collection).set(JSON.stringify(record._id), record);
    this.#hintRecord(collection, record._id);
  }

  /** A record as it stands, in the shape the test expects. */
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the one who asks knows what stands there
  get<T extends object = Doc>(collection: Collection, id: RecordId): T | undefined {
    return this.#of(collection).get(JSON.stringify(id)) as T | undefined;
  }

  /** The next call of `method` (or the one after `after` more) does nothing and throws `error`; several wait in line. */
  failNext(method: Method, error: Error = new StoreUnreachableError(`Cannot ${method}: the test says so`), after = 0): void {
    const fail = (): never => {
      throw error;
    };
    for (let i = 0; i < after; i++) this.before(method, () => {});
    this.before(method, fail);
  }

  /** Runs `act` just before the next call of `method` takes effect: what others do meanwhile. */
  before(method: Method, act: Act): void {
    this.#before.set(method, [...(this.#before.get(method) ?? []), act]);
  }

  /** The next call of `method` (or the one after `after` more) lands, but its reply is lost; several wait in line. */
  loseReply(method: Method, after = 0): void {
    const line = this.#lost.get(method) ?? [];
    this.#lost.set(method, [...line, ...Array.from({ length: after }, () => false), true]);
  }

  /** No call gets through until `comeBack`; streams break. */
  goAway(): void {
    this.#away = true;
  }

  comeBack(): void {
    this.#away = false;
    for (const { onHint } of this.#watchers) onHint({ kind: "all" });
  }

  hint(what: Watched, hint: Hint): void {
    if (this.muted || this.#away) return;
    for (const watcher of this.#watchers) if (watcher.what === what) watcher.onHint(hint);
  }

  // The ports.

  apply(operation: Operation): Promise<Outcome> {
    return this.#answer("apply", () => {
      const key = JSON.stringify(operation.id);
      const records = this.#of(operation.collection);
      const { outcome, document } = applyTo(records.get(key), operation);
      this.applied.push({ operation, outcome });
      if (outcome === "missed") return outcome;
      if (document === undefined) records.delete(key);
      else records.set(key, document);
      this.#hintRecord(operation.collection, operation.id);
      return outcome;
    });
  }

  renew(operation: Operation): Promise<WorkerRecord | undefined> {
    return this.apply(operation).then((outcome) => (outcome === "won" ? this.get<WorkerRecord>("workers", operation.id) : undefined));
  }

  insert(collection: Collection, record: Doc): Promise<"inserted" | "exists"> {
    return this.#answer("insert", () => {
      if (this.#of(collection).has(JSON.stringify(record._id))) return "exists";
      this.put(collection, { ...record });
      return "inserted";
    });
  }

  insertPlacements(records: readonly PlacementRecord[]): Promise<void> {
    return this.#answer("insertPlacements", () => {
      for (const record of records) if (!this.#of("placements").has(JSON.stringify(record._id))) this.put("placements", { ...record });
    });
  }

  stringBots(signal: AbortSignal): AsyncGenerator<FoundDocument> {
    return this.#stream("stringBots", signal, () => this.#botsOf("string"));
  }

  objectIdBots(signal: AbortSignal): AsyncGenerator<FoundDocument> {
    return this.#stream("objectIdBots", signal, () => this.#botsOf("objectId"));
  }

  otherBots(signal: AbortSignal): AsyncGenerator<FoundDocument> {
    return this.#stream("otherBots", signal, () => this.#botsOf("other"));
  }

  allPlacements(signal: AbortSignal): AsyncGenerator<PlacementRecord> {
    return this.#stream("allPlacements", signal, () => this.#placements().toSorted((a, b) => compareIds(a._id, b._id)));
  }

  activePlacements(segments: readonly SegmentId[], signal: AbortSignal): AsyncGenerator<readonly PlacementRecord[]> {
    return this.#stream("activePlacements", signal, () => {
      const mine = this.#placements().filter((p) => p.active && segments.includes(p.segment));
      return Array.from({ length: Math.ceil(mine.length / 500) }, (_, i) => mine.slice(i * 500, i * 500 + 500));
    });
  }

  findBots(ids: readonly BotId[]): Promise<readonly FoundDocument[]> {
    return this.#answer("findBots", () => [...this.#bots.values()].filter(({ raw }) => ids.includes(textOf(raw) as BotId)));
  }

  findPlacements(ids: readonly BotId[]): Promise<readonly PlacementRecord[]> {
    return this.#answer("findPlacements", () => this.#placements().filter((p) => ids.includes(p._id)));
  }

  findStatuses(ids: readonly BotId[]): Promise<readonly StatusRecord[]> {
    return this.#answer("findStatuses", () => this.#all<StatusRecord>("status").filter((s) => ids.includes(s._id as BotId)));
  }

  activeSegments(some?: readonly SegmentId[]): Promise<readonly SegmentId[]> {
    const counts = (p: PlacementRecord): boolean => p.active && some?.includes(p.segment) !== false;
    return this.#answer("activeSegments", () => [...new Set(this.#placements().flatMap((p) => (counts(p) ? [p.segment] : [])))]);
  }

  segments(some?: readonly SegmentId[]): Promise<readonly SegmentRecord[]> {
    return this.#answer("segments", () => this.#all<SegmentRecord>("segments").filter((s) => some?.includes(s._id) !== false));
  }

  ownedSegments(sid: SessionId, held: readonly SegmentId[]): Promise<readonly SegmentRecord[]> {
    return this.#answer("ownedSegments", () =>
      this.#all<SegmentRecord>("segments").filter((s) => s.owner === sid || s.target === sid || held.includes(s._id)),
    );
  }

  workers(): Promise<readonly WorkerRecord[]> {
    return this.#answer("workers", () => this.#all<WorkerRecord>("workers"));
  }

  fleet(): Promise<FleetRecord | undefined> {
    return this.#answer("fleet", () => this.get<FleetRecord>("control", "fleet"));
  }

  leaderTerm(): Promise<number | undefined> {
    return this.#answer("leaderTerm", () => this.get<{ readonly term: number }>("control", "leader")?.term);
  }

  countInvalid(): Promise<number> {
    return this.#answer("countInvalid", () => this.#all<StatusRecord>("status").filter((s) => s.state === "invalid").length);
  }

  publishFleet(view: FleetView): Promise<void> {
    return this.#answer("publishFleet", () => {
      if ((this.published?.term ?? 0) <= (view.term ?? 0)) this.published = view;
    });
  }

  fleetView(): Promise<FleetView | undefined> {
    return this.#answer("fleetView", () => this.published);
  }

  recordRun(run: RunRecord): Promise<void> {
    return this.#answer("recordRun", () => {
      this.runs.set(run._id, run);
      const mine = [...this.runs.values()].filter((r) => r.bot === run.bot).sort((a, b) => b.ended.getTime() - a.ended.getTime());
      for (const old of mine.slice(50)) this.runs.delete(old._id);
    });
  }

  async watch(what: Watched, onHint: (hint: Hint) => void, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const watcher = { what, onHint };
    this.#watchers.add(watcher);
    if (!this.#away && !this.muted) onHint({ kind: "all" });
    const { promise, resolve } = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => resolve(), { once: true });
    await promise;
    this.#watchers.delete(watcher);
  }

  /** Watchers that have not ended: what a test leaves behind shows here. */
  get watching(): number {
    return this.#watchers.size;
  }

  async #answer<T>(method: Method, act: () => T): Promise<T> {
    await this.#reach(method);
    const reply = act();
    if (this.#lost.get(method)?.shift() !== true) return reply;
    throw new StoreUnreachableError(`Cannot ${method}: the reply was lost`);
  }

  async #reach(method: Method): Promise<void> {
    await Promise.resolve();
    if (this.#away) throw new StoreUnreachableError(`Cannot ${method}: MongoDB is away`);
    await this.#before.get(method)?.shift()?.();
  }

  async *#stream<T>(method: Method, signal: AbortSignal, read: () => readonly T[]): AsyncGenerator<T> {
    this.openStreams += 1;
    try {
      signal.throwIfAborted();
      await this.#reach(method);
      for (const item of read()) {
        signal.throwIfAborted();
        if (this.#away) throw new StoreUnreachableError(`Cannot ${method}: MongoDB went away`);
        yield item;
      }
    } finally {
      this.openStreams -= 1;
    }
  }

  #of(collection: Collection): Map<string, Doc> {
    const records = this.#records.get(collection) ?? new Map<string, Doc>();
    this.#records.set(collection, records);
    return records;
  }

  #all<T>(collection: Collection): T[] {
    return [...this.#of(collection).values()] as T[];
  }

  #placements(): PlacementRecord[] {
    return this.#all<PlacementRecord>("placements");
  }

  #botsOf(kind: RawId["kind"]): FoundDocument[] {
    const some = [...this.#bots.values()].filter(({ raw }) => raw.kind === kind);
    return some.toSorted((a, b) => compareIds(textOf(a.raw), textOf(b.raw)));
  }

  #hintBot(raw: RawId): void {
    const verdict = botIdOf(raw);
    this.hint("bots", verdict.ok ? { kind: "some", ids: [verdict.id] } : { kind: "unusable" });
  }

  #hintRecord(collection: Collection, id: unknown): void {
    if (collection === "placements" || collection === "segments") this.hint(collection, { kind: "some", ids: [String(id)] });
  }
}

function textOf(raw: RawId): string {
  return raw.kind === "string" ? raw.value : raw.kind === "objectId" ? raw.hex : raw.text;
}

function keyOf(raw: RawId): string {
  return `${raw.kind} ${textOf(raw)}`;
}
