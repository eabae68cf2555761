import type { ScalingBounds } from "./scaling.ts";

type ScalerMode = "native" | "keda" | "none";

/** What the operator may change while the fleet runs. */
export type ScalingSettings = ScalingBounds & { readonly mode: ScalerMode; readonly checkIntervalMs: number };

/** Keys of the watched ConfigMap, named as in the environment: what is there wins over that, key by key. */
const KEYS = {
  MIN_REPLICAS: { least: 1, most: 10_000 },
  MAX_REPLICAS: { least: 1, most: 10_000 },
  STANDBY_WORKERS: { least: 0, most: 1_000 },
  SCALE_CHECK_INTERVAL_SECONDS: { least: 1, most: 3_600 },
  SCALE_COOLDOWN_SECONDS: { least: 0, most: 86_400 },
} as const;
const MODES: readonly string[] = ["native", "keda", "none"];

export type ReadSettings = { readonly settings: ScalingSettings; readonly faults: readonly [] } | { readonly faults: readonly string[] };

/** Reads the ConfigMap over `base`, all or nothing: a fault in one key must not make a half-changed whole. */
export function readScalingSettings(data: Readonly<Record<string, string>>, base: ScalingSettings): ReadSettings {
  const faults: string[] = [];
  const number = (key: keyof typeof KEYS, fallback: number): number => {
    const text = data[key];
    if (text === undefined || text === "") return fallback;
    const { least, most } = KEYS[key];
    const value = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    faults.push(`${key}: must be a whole number from ${least} to ${most}, got "${text}"`);
    return fallback;
  };
  const mode = data["SCALER"] ?? base.mode;
  if (!MODES.includes(mode)) faults.push(`SCALER: must be native, keda or none, got "${mode}"`);
  const settings: ScalingSettings = {
    mode: mode as ScalerMode,
    min: number("MIN_REPLICAS", base.min),
    max: number("MAX_REPLICAS", base.max),
    standby: number("STANDBY_WORKERS", base.standby),
    checkIntervalMs: number("SCALE_CHECK_INTERVAL_SECONDS", base.checkIntervalMs / 1_000) * 1_000,
    cooldownMs: number("SCALE_COOLDOWN_SECONDS", base.cooldownMs / 1_000) * 1_000,
  };
  if (settings.min > settings.max) faults.push(`MIN_REPLICAS: must be at most MAX_REPLICAS (${settings.max}), got "${settings.min}"`);
  return faults.length > 0 ? { faults } : { settings, faults: [] };
}
