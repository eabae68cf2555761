/** A moment in UTC, to the second. */
export function momentText(when: Date): string {
  return when.toISOString().replace(/\.\d+Z$/, "Z");
}

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1_000],
] as const;

/** A duration for people, in its two greatest units: "2 h 5 min", "14 s", "0.3 s". */
export function durationText(ms: number): string {
  const whole = Math.max(0, ms);
  if (whole < 9_950) return `${Number((whole / 1_000).toFixed(1))} s`;
  const rounded = Math.round(whole / 1_000) * 1_000;
  const first = UNITS.findIndex(([, size]) => rounded >= size);
  const [name, size] = UNITS[first] ?? UNITS[3];
  const second = UNITS[first + 1];
  const rest = second === undefined ? 0 : Math.floor((rounded % size) / second[1]);
  return `${Math.floor(rounded / size)} ${name}${second === undefined || rest === 0 ? "" : ` ${rest} ${second[0]}`}`;
}
