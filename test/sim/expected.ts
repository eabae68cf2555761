import type { Coverage } from "./coverage.ts";
import { FAULT_NAMES } from "./faults.ts";

/** The protocol's operations, each of which must have been seen to win and to miss. */
const OPERATIONS = ["O0", "O1", "O2", "O3", "O3'", "O4", "O5", "O6", "O7", "gone"];
const OTHERS = [
  "O0 open inserted",
  "lease O1' written",
  "lease O1' conflict",
  "lease O3 written",
  "lease O3 conflict",
  "lease barred",
  "headless gave up",
  "session ended",
  "claim insert",
  "claim ours",
  "claim refuse",
];

/** What a run of enough seeds has never made happen. */
export function neverSeen(coverage: Coverage): string[] {
  const pairs = FAULT_NAMES.flatMap((a, i) => FAULT_NAMES.slice(i + 1).map((b) => `pair ${[a, b].toSorted().join(" + ")}`));
  const operations = OPERATIONS.flatMap((op) => [`${op} won`, `${op} missed`]);
  return [...FAULT_NAMES.map((name) => `fault ${name}`), ...pairs, ...operations, ...OTHERS].filter((what) => coverage.of(what) === 0);
}

/** The coverage as a table: faults with how often they came and came alone, then operations. */
export function coverageTable(coverage: Coverage): string {
  const rows = FAULT_NAMES.map((name) => [name, coverage.of(`fault ${name}`), coverage.of(`alone ${name}`)] as const);
  const faults = rows.map(([name, all, alone]) => `  ${name.padEnd(34)} ${String(all).padStart(8)} ${String(alone).padStart(8)}`);
  const ops = OPERATIONS.map(
    (op) => `  ${op.padEnd(34)} ${String(coverage.of(`${op} won`)).padStart(8)} ${String(coverage.of(`${op} missed`)).padStart(8)}`,
  );
  const others = OTHERS.map((what) => `  ${what.padEnd(34)} ${String(coverage.of(what)).padStart(8)}`);
  const pairs = [...coverage.counts].filter(([what]) => what.startsWith("pair "));
  const rarest = pairs.toSorted((a, b) => a[1] - b[1])[0];
  return [
    `  ${"FAULT".padEnd(34)}    TIMES    ALONE`,
    ...faults,
    `  ${"OPERATION".padEnd(34)}      WON   MISSED`,
    ...ops,
    ...others,
    `  pairs of overlapping faults: ${pairs.length} of ${(FAULT_NAMES.length * (FAULT_NAMES.length - 1)) / 2}, the rarest ${rarest?.[1] ?? 0} times`,
  ].join("\n");
}
