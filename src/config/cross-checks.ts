import type { VariableName } from "./variables.ts";

/** Largest difference between the rates of two clocks that we bear. Source: ownership.md "Timing". */
const DRIFT = 0.05;
/** Share of RENEW_SECONDS that one renewal call may take: 0.8 s of 1 s. */
const CALL_SHARE = 0.8;

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
  return [`COORDINATION: is not supported yet by this version, got "${mode}"${why}: set it to single and run exactly one process`];
}

function timings(value: (name: VariableName) => unknown): string[] {
  const read = (name: VariableName) => value(name) as number | undefined;
  const [renew, soft, stop, fence] = [read("RENEW_SECONDS"), read("SOFT_SECONDS"), read("STOP_SECONDS"), read("FENCE_SECONDS")];
  const [kill, end] = [read("KILL_SECONDS"), read("SESSION_END_SECONDS")];
  const faults: string[] = [];
  const below = (small: number | undefined, smallText: string, large: number | undefined, name: VariableName) => {
    if (small === undefined || large === undefined || small < large) return;
    faults.push(`${name}: must be over ${round(small)} (${smallText}), got "${large}": raise it, or unset all timings for the defaults`);
  };
  below(
    renew === undefined ? undefined : renew * (1 + CALL_SHARE),
    "RENEW_SECONDS and its call time-out, 1.8 x RENEW_SECONDS",
    soft,
    "SOFT_SECONDS",
  );
  below(soft, "SOFT_SECONDS", stop, "STOP_SECONDS");
  below(stop, "STOP_SECONDS", fence, "FENCE_SECONDS");
  const killed = fence === undefined || kill === undefined ? undefined : ((fence + kill) * (1 + DRIFT)) / (1 - DRIFT);
  below(killed, "(FENCE_SECONDS + KILL_SECONDS) x 1.05 / 0.95, for clocks that drift apart", end, "SESSION_END_SECONDS");
  return faults;
}

function round(n: number): number {
  return Math.ceil(n * 100) / 100;
}
