/** Kubernetes quantities ("256Mi", "1G", "0.5", "250m", "1e3") as whole numbers of the smallest unit we use. */
export type QuantityVerdict = { readonly ok: true; readonly value: number } | { readonly ok: false; readonly reason: string };

/** Billionths in one CPU: the Engine's NanoCpus. */
export const NANO_PER_CPU = 1_000_000_000;

const number = /^([+-]?)(\d{0,30})(?:\.(\d{0,30}))?([A-Za-z][A-Za-z0-9+-]*)?$/;
const exponent = /^[eE]([+-]?\d{1,2})$/;
const powersOfTwo = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"] as const;
const powersOfTen: Readonly<Record<string, number>> = { n: -9, u: -6, m: -3, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 };
/** What people write who do not know Kubernetes: "256MB", "1gb", "64K". */
const familiar = /^([kmgtp])(i?)(b(?:ytes)?)?$/i;

/** Reads an amount of memory in bytes; a fraction of a byte counts as a whole one. Total: any text gives a verdict. */
export function parseBytes(text: string): QuantityVerdict {
  return parse(text, 1n);
}

/** Reads a number of CPUs in billionths; a fraction of a billionth counts as a whole one. Total. */
export function parseCpus(text: string): QuantityVerdict {
  return parse(text, BigInt(NANO_PER_CPU));
}

function parse(text: string, unit: bigint): QuantityVerdict {
  const [, sign, whole = "", fraction = "", suffix = ""] = number.exec(text) ?? [];
  if (sign === undefined || whole + fraction === "") return no('must be a number with a unit, such as "256Mi", "1G", "250m" or "0.5"');
  if (sign === "-") return no("must not be negative");
  const scale = scaleOf(suffix);
  if (scale === undefined) return no(`has the unknown unit "${suffix.slice(0, 10)}"${suggestion(suffix)}`);
  const ten = scale.ten - fraction.length;
  const numerator = BigInt(whole + fraction) * unit * 2n ** BigInt(scale.two) * 10n ** BigInt(Math.max(ten, 0));
  const denominator = 10n ** BigInt(Math.max(-ten, 0));
  const value = (numerator + denominator - 1n) / denominator;
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) return no("is larger than any machine");
  return { ok: true, value: Number(value) };
}

function scaleOf(suffix: string): { readonly two: number; readonly ten: number } | undefined {
  if (suffix === "") return { two: 0, ten: 0 };
  const two = powersOfTwo.findIndex((s) => s === suffix);
  if (two >= 0) return { two: (two + 1) * 10, ten: 0 };
  const ten = Object.hasOwn(powersOfTen, suffix) ? powersOfTen[suffix] : undefined;
  if (ten !== undefined) return { two: 0, ten };
  const e = exponent.exec(suffix)?.[1];
  return e === undefined ? undefined : { two: 0, ten: Number(e) };
}

function suggestion(suffix: string): string {
  const letter = familiar.exec(suffix)?.[1]?.toUpperCase();
  return letter === undefined ? "" : ` (Kubernetes writes ${letter === "K" ? "Ki or k" : `${letter}i or ${letter}`})`;
}

function no(reason: string): QuantityVerdict {
  return { ok: false, reason };
}

/** Writes bytes with the largest binary unit that divides them: `parseBytes` reads the same number back. */
export function formatBytes(bytes: number): string {
  let rest = bytes;
  let unit = "";
  for (const next of powersOfTwo) {
    if (rest === 0 || rest % 1024 !== 0) break;
    rest /= 1024;
    unit = next;
  }
  return `${rest}${unit}`;
}

/** Writes billionths of a CPU: whole CPUs, else thousandths, else billionths. */
export function formatCpus(nanoCpus: number): string {
  if (nanoCpus % NANO_PER_CPU === 0) return String(nanoCpus / NANO_PER_CPU);
  return nanoCpus % 1_000_000 === 0 ? `${nanoCpus / 1_000_000}m` : `${nanoCpus}n`;
}
