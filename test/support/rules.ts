import { readFileSync } from "node:fs";

import { parse } from "yaml";

import { Metrics } from "../../src/telemetry/metrics.ts";

export type Rule = {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
};
export type Alert = Rule & { readonly alert: string };

export const RULES_TEXT = readFileSync(new URL("../../chart/files/rules.yaml", import.meta.url), "utf8");
const all = (parse(RULES_TEXT) as { groups: { rules: Rule[] }[] }).groups.flatMap(({ rules }) => rules);
export const ALERTS = all.filter((rule): rule is Alert => rule.alert !== undefined);
export const RECORDS = all.filter((rule): rule is Rule & { record: string } => rule.record !== undefined);

/** The rules of one release, as the chart makes them. */
export const rulesFor = (selector: string): string => RULES_TEXT.replaceAll("%SELECTOR%", selector);

/** Metrics that an expression asks for: a name and its braces. */
export function metricsIn(expr: string): string[] {
  return [...expr.matchAll(/([a-zA-Z_:][\w:]*)\{/g)].map(([, name = ""]) => name);
}

/** The names of all samples that a process can export: the leader's, a cluster's and a fence's included. */
export async function exportedNames(): Promise<Set<string>> {
  const metrics = new Metrics({ version: "0", node: "v0" }, ["mongodb", "docker", "kubernetes"]);
  const figures = { total_segments: 0, assigned_segments: 0, orphaned_segments: 0, available_workers: 0, segment_backlog: 0 };
  metrics.setFleet(figures, { shared: 0, handOverMs: 0 });
  metrics.setScaling({ desired: 1, min: 1, max: 1, foreign: false });
  metrics.watchFence({ remainingMs: () => 0, trips: () => 0 });
  metrics.watchHeadless(() => 0);
  const text = await metrics.registry.metrics();
  return new Set([...text.matchAll(/^([a-zA-Z_:][\w:]*)[{ ]/gm)].map(([, name = ""]) => name));
}
