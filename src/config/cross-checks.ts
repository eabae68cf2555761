import { brokenTimings, type TimingRule, type Timings, withCall } from "../core/timings.ts";
import type { VariableName } from "./variables.ts";

/** Faults between variables. A variable that is at fault itself is `undefined` here and takes its checks with it.
 *  `byDefault`: nobody set COORDINATION. */
export function crossFaults(value: (name: VariableName) => unknown, byDefault: boolean): string[] {
  return [...replicas(value), ...coordination(value, byDefault), ...timings(value)];
}

function replicas(value: (name: VariableName) => unknown): string[] {
  const [min, max] = [value("MIN_REPLICAS"), value("MAX_REPLICAS")] as (number | undefined)[];
  if (min === undefined || max === undefined || min <= max) return [];
  return [`MIN_REPLICAS: must be at most MAX_REPLICAS (${max}), got "${min}": lower MIN_REPLICAS or raise MAX_REPLICAS`];
}

function coordination(value: (name: VariableName) => unknown, byDefault: boolean): string[] {
  const mode = value("COORDINATION") as string | undefined;
  if (mode === undefined || mode === "single") return [];
  const why = byDefault ? " (the default inside a cluster)" : "";
  const needs = (name: VariableName, fix: string): string[] =>
    value(name) === undefined ? [`${name}: is required with COORDINATION=${mode}${why}, got nothing: set it to ${fix}`] : [];
  return [
    ...needs("FENCE_DIR", "the directory that is shared with the fence of this process's Docker Engine, such as /run/bot-runner"),
    ...(mode === "kubernetes" ? needs("POD_UID", "metadata.uid by the downward API") : []),
  ];
}

const timingVariables = {
  renewMs: "RENEW_SECONDS",
  softMs: "SOFT_SECONDS",
  stopMs: "STOP_SECONDS",
  fenceMs: "FENCE_SECONDS",
  killMs: "KILL_SECONDS",
  endMs: "SESSION_END_SECONDS",
} as const satisfies Record<Exclude<keyof Timings, "callMs">, VariableName>;

const reasons: Readonly<Record<TimingRule["why"], string>> = {
  "renew+call": "RENEW_SECONDS and its call time-out, 1.8 x RENEW_SECONDS",
  soft: "SOFT_SECONDS",
  stop: "STOP_SECONDS",
  "fence+kill": "(FENCE_SECONDS + KILL_SECONDS) x 1.05 / 0.95, for clocks that drift apart",
};

function timings(value: (name: VariableName) => unknown): string[] {
  // A missing one is NaN, which no comparison calls too small.
  const read = (name: VariableName): number => ((value(name) as number | undefined) ?? Number.NaN) * 1_000;
  const given = withCall({
    renewMs: read("RENEW_SECONDS"),
    softMs: read("SOFT_SECONDS"),
    stopMs: read("STOP_SECONDS"),
    fenceMs: read("FENCE_SECONDS"),
    killMs: read("KILL_SECONDS"),
    endMs: read("SESSION_END_SECONDS"),
  });
  return brokenTimings(given).map(({ name, least, why }) => {
    const variable = timingVariables[name];
    return `${variable}: must be over ${seconds(least)} (${reasons[why]}), got "${read(variable) / 1_000}": raise it, or unset all timings for the defaults`;
  });
}

/** Rounded up to hundredths, so that the number told is large enough. */
function seconds(ms: number): number {
  return Math.ceil(ms / 10) / 100;
}
