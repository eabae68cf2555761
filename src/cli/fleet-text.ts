import { isLiving } from "../core/session.ts";
import type { FleetReport, WorkerView } from "./fleet-view.ts";
import { renderTable } from "./table.ts";
import { durationText, momentText } from "./time-text.ts";

/** So many rows of segments are shown; JSON has all. */
const MAX_ROWS = 20;

/** The report for people. `now` is the wall clock: it gives ages, which decide nothing. */
export function fleetText(
  report: FleetReport,
  { now, all, width }: { readonly now: Date; readonly all: boolean; readonly width: number | undefined },
): string {
  const age = (iso: string | null): string => (iso === null ? "-" : durationText(now.getTime() - Date.parse(iso)));
  const sections = [renderTable([], headOf(report, age), width)];
  const shown = report.workers.filter((w) => all || isLiving(w.state));
  if (shown.length > 0)
    sections.push(
      renderTable(
        ["POD", "STATE", "RENEWS", "DRAIN", "SEGMENTS", "AGE", "NODE", "SESSION"],
        shown.map((w) => [
          w.pod,
          w.leads ? `${w.state}, leads` : w.state,
          w.headlessSince === null ? yesNo(w.renews) : `Lease only, ${age(w.headlessSince)}`,
          drainText(w),
          String(w.segments.length),
          age(w.opened),
          w.node || "-",
          w.session,
        ]),
        width,
      ),
    );
  const podOf = new Map<string | null, string>(report.workers.map((w) => [w.session, w.pod]));
  const name = (session: string | null, nobody: string): string => (session === null ? nobody : (podOf.get(session) ?? session));
  if (report.waiting.length > 0)
    sections.push(
      list(
        `Waiting for a worker (${report.waiting.length}):`,
        ["SEGMENT", "WHY"],
        report.waiting.map((w) => [String(w.segment), w.why]),
        width,
      ),
    );
  if (report.moving.length > 0)
    sections.push(
      list(
        `Moving (${report.moving.length}):`,
        ["SEGMENT", "STEP", "FROM", "TO"],
        report.moving.map((m) => [String(m.segment), m.step, name(m.from, "-"), name(m.to, "whoever is free")]),
        width,
      ),
    );
  return sections.join("\n");
}

function headOf(report: FleetReport, age: (iso: string | null) => string): string[][] {
  const { fleet, figures, observed, lastScaling, missing, workers } = report;
  const hidden = workers.filter((w) => !isLiving(w.state)).length;
  const rows = [
    ["Fleet:", fleet === null ? "nobody holds this database" : `${fleet.owner}, COORDINATION=${fleet.coordination}`],
    ["Leader:", leaderText(report)],
  ];
  if (figures !== null) {
    rows.push(
      [
        "Segments:",
        `${figures.total_segments} active, ${figures.assigned_segments} assigned, ${figures.orphaned_segments} orphaned, backlog ${figures.segment_backlog}`,
      ],
      ["Workers:", `${figures.available_workers} available, ${hidden} ended`],
      ["Figures of:", observed === null ? "-" : `${momentText(new Date(observed))}, ${age(observed)} ago`],
    );
  }
  if (lastScaling !== null)
    rows.push(["Scaled:", `from ${lastScaling.from} to ${lastScaling.to} replicas ${age(lastScaling.at)} ago: ${lastScaling.why}`]);
  if (missing !== null && missing.failure !== null) rows.push(["Refused:", missing.failure]);
  for (const { pods, why } of missing?.pending ?? []) rows.push(["Pending:", `${pods} pod(s): ${why}`]);
  return rows;
}

function leaderText({ leader }: FleetReport): string {
  if (leader === null) return "none";
  if (leader.renews === null) return leader.pod;
  return leader.renews ? `${leader.pod}, which renews` : `${leader.pod}, which has not renewed while this looked: dead, cut off or slow`;
}

function drainText({ drainAsked, state, segments }: WorkerView): string {
  if (!isLiving(state) || (!drainAsked && state !== "draining")) return "-";
  if (state === "up") return "asked";
  return segments.length === 0 ? "empty" : "stopping";
}

function yesNo(sign: boolean | null): string {
  return sign === null ? "-" : sign ? "yes" : "no";
}

function list(title: string, headers: readonly string[], rows: readonly (readonly string[])[], width: number | undefined): string {
  const rest = rows.length - MAX_ROWS;
  const more = rest > 0 ? `... and ${rest} more: --output json has all\n` : "";
  return `${title}\n${renderTable(headers, rows.slice(0, MAX_ROWS), width)}${more}`;
}
