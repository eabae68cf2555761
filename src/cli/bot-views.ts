import { stringify } from "yaml";
import type { BotReading, BotState, FoundDocument } from "../core/bot.ts";
import type { RunRecord, StatusRecord } from "../core/records.ts";
import type { BotReader } from "../document/pick-reading.ts";
import { renderTable } from "./table.ts";
import { manyLines } from "./terminal.ts";

/** One bot as people and scripts see it. */
export type BotView = {
  readonly bot: string;
  readonly enabled: boolean | null;
  readonly state: BotState;
  readonly restarts: number;
  readonly worker: string | null;
  readonly since: string | null;
  readonly message: string;
  readonly faults: readonly string[];
  readonly warnings: readonly string[];
};

export function viewBot(reading: BotReading, status: StatusRecord | undefined): BotView {
  const faults = reading.kind === "invalid" ? reading.faults : [];
  return {
    bot: reading.kind === "valid" ? reading.id : reading.document,
    enabled: reading.kind === "valid" ? reading.enabled : null,
    state: status?.state ?? (reading.kind === "invalid" ? "invalid" : reading.enabled ? "pending" : "stopped"),
    restarts: status?.restarts ?? 0,
    worker: status === undefined || status.worker === "" ? null : status.worker,
    since: status === undefined ? null : second(status.since),
    message: status?.message || faults.join("; "),
    faults,
    warnings: reading.kind === "valid" ? reading.warnings : [],
  };
}

/** Joins documents and statuses. A string that spells an ObjectId of the same collection is its twin, hence invalid.
 *  Holds one view for each bot, not its document. */
export async function viewBots(
  documents: AsyncIterable<FoundDocument>,
  statuses: AsyncIterable<StatusRecord>,
  read: BotReader,
): Promise<BotView[]> {
  const known = new Map<string, StatusRecord>();
  for await (const status of statuses) known.set(typeof status._id === "string" ? status._id : `document ${status._id.document}`, status);
  const views: { readonly raw: FoundDocument["raw"]; readonly view: BotView }[] = [];
  for await (const found of documents) {
    const reading = read(found);
    const key = reading.kind === "valid" ? reading.id : (reading.id ?? `document ${reading.document}`);
    views.push({ raw: found.raw, view: viewBot(reading, known.get(key)) });
  }
  const hexes = new Set(views.flatMap(({ raw }) => (raw.kind === "objectId" ? [raw.hex] : [])));
  const isTwin = (raw: FoundDocument["raw"]) => raw.kind === "string" && hexes.has(raw.value);
  return views
    .map(({ raw, view }) => (isTwin(raw) ? viewBot(read({ raw, document: {} }, true), undefined) : view))
    .sort((a, b) => (a.bot < b.bot ? -1 : a.bot > b.bot ? 1 : 0));
}

export function listTable(views: readonly BotView[], width?: number): string {
  const rows = views.map((v) => [v.bot, v.state, String(v.restarts), v.worker ?? "-", v.since ?? "-", v.message]);
  return renderTable(["BOT", "STATE", "RESTARTS", "WORKER", "SINCE", "MESSAGE"], rows, width);
}

export type BotDetail = {
  readonly view: BotView;
  readonly document: unknown;
  readonly status: StatusRecord | undefined;
  readonly runs: readonly RunRecord[];
};

export function detailJson({ view, document, status, runs }: BotDetail): Record<string, unknown> {
  return {
    ...view,
    container: status?.container ?? null,
    epoch: status?.epoch ?? null,
    nextStart: at(status?.nextStart),
    lastExit: status?.lastExit === null || status === undefined ? null : { ...status.lastExit, at: at(status.lastExit.at) },
    document,
    runs: runs.map(({ log: _log, bot: _bot, _id, started, ended, ...run }) => ({
      container: _id,
      started: at(started),
      ended: at(ended),
      ...run,
    })),
  };
}

export function detailText({ view, document, status, runs }: BotDetail, width?: number): string {
  const exit = status?.lastExit;
  const facts: (readonly [string, string | undefined])[] = [
    ["Bot", view.bot],
    ["Enabled", view.enabled === null ? undefined : String(view.enabled)],
    ["State", view.state],
    ["Since", view.since ?? undefined],
    ["Worker", view.worker ?? undefined],
    ["Container", status?.container?.slice(0, 12)],
    ["Restarts", String(view.restarts)],
    ["Next start", status?.nextStart ? second(status.nextStart) : undefined],
    ["Last exit", exit ? `${exit.code}${exit.oom === "no" ? "" : ` (${exit.oom})`} at ${second(exit.at)}: ${exit.why}` : undefined],
    ["Message", view.message || undefined],
    ...view.faults.map((fault) => ["Fault", fault] as const),
    ...view.warnings.map((warning) => ["Warning", warning] as const),
  ];
  const sections = [
    renderTable(
      [],
      facts.flatMap(([name, value]) => (value === undefined ? [] : [[`${name}:`, value]])),
    ),
  ];
  sections.push(`Document:\n${manyLines(stringify(document)).replace(/^(?=.)/gm, "  ")}`);
  if (runs.length > 0) {
    const rows = runs.map((run) => [
      run.started === null ? "-" : second(run.started),
      second(run.ended),
      String(run.exit),
      run.oom,
      run.worker,
      run.startedWhy,
      run.endedWhy,
    ]);
    sections.push(renderTable(["STARTED", "ENDED", "EXIT", "OOM", "WORKER", "STARTED BECAUSE", "ENDED BECAUSE"], rows, width));
  }
  return sections.join("\n");
}

/** A document as plain JSON, whatever the driver made of it. */
export function plainDocument({ raw, document }: FoundDocument): unknown {
  const id = raw.kind === "string" ? raw.value : raw.kind === "objectId" ? { $oid: raw.hex } : raw.text;
  const text = JSON.stringify({ _id: id, ...document }, (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value));
  return { ...(JSON.parse(text) as Record<string, unknown>), _id: id };
}

function at(when: Date | null | undefined): string | null {
  return when === null || when === undefined ? null : when.toISOString();
}

function second(when: Date): string {
  return when.toISOString().replace(/\.\d+Z$/, "Z");
}
