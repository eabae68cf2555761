export type Verdict = "ok" | "warn" | "fail";

/** What a look came to. `warn`: it works, not as well as it could, or it could not be told. */
export type Said = {
  readonly verdict: Verdict;
  readonly what: string;
  /** What a person can do about it; with `warn` and `fail`. */
  readonly fix?: string;
};

/** One line of the report. */
export type Finding = Said & { readonly check: string };

/** One thing to look at. It changes nothing. */
export type Check = {
  /** Its first word names the group that `--only` chooses by. */
  readonly name: string;
  /** Where that earlier check fails, this one cannot be looked at. */
  readonly after?: string;
  /** The fix for what `look` throws. */
  readonly mend: string;
  readonly look: (signal: AbortSignal) => Promise<Said>;
};

export const ok = (what: string): Said => ({ verdict: "ok", what });
export const warn = (what: string, fix: string): Said => ({ verdict: "warn", what, fix });
export const fail = (what: string, fix: string): Said => ({ verdict: "fail", what, fix });

/** The part of a fleet that a check is about: `docker-storage` is about `docker`. */
export const groupOf = (check: string): string => check.split("-", 1)[0] ?? check;

/** The worst verdict of all. */
export function worstOf(findings: readonly Said[]): Verdict {
  return (["fail", "warn"] as const).find((verdict) => findings.some((found) => found.verdict === verdict)) ?? "ok";
}
