import type { Clock } from "../core/clock.ts";
import { type Check, fail, type Finding, type Said, warn } from "./finding.ts";

type RunOptions = {
  readonly clock: Clock;
  /** No check takes longer, in ms. */
  readonly limitMs: number;
};

/** Runs all checks side by side, each within its own limit, and gives what they found in their order. Never throws: a fault is a
 *  finding. A check that hangs holds nobody up but those that need it. */
export async function runChecks(checks: readonly Check[], options: RunOptions): Promise<Finding[]> {
  const begun = new Map<string, Promise<Finding>>();
  for (const check of checks) {
    const needed = check.after === undefined ? undefined : begun.get(check.after);
    begun.set(
      check.name,
      afterNeeded(check, needed, options).then((said) => ({ check: check.name, ...said })),
    );
  }
  return Promise.all(begun.values());
}

/** What was not chosen with `--only` is not needed either. */
async function afterNeeded(check: Check, needed: Promise<Finding> | undefined, options: RunOptions): Promise<Said> {
  const before = await needed;
  if (before?.verdict === "fail") return warn(`not looked at, for ${before.check} failed`, `mend ${before.check} first`);
  return within(check, options);
}

async function within({ look, mend }: Check, { clock, limitMs }: RunOptions): Promise<Said> {
  const late = new AbortController();
  const done = new AbortController();
  const limit = clock.sleep(limitMs, done.signal).then(
    () => fail(`no answer within ${limitMs / 1_000} s`, mend),
    () => undefined,
  );
  try {
    // The signal may not be heeded, so the wait ends with the race and not with the look.
    return (await Promise.race([look(late.signal), limit])) ?? fail("was not looked at", mend);
  } catch (error) {
    return fail(reasonOf(error), mend);
  } finally {
    done.abort();
    late.abort();
  }
}

/** A fault and its causes in one line; who passes a fault on in the same words adds nothing. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.cause === undefined) return error.message;
  const why = reasonOf(error.cause);
  return why.startsWith(error.message) ? why : `${error.message}: ${why}`;
}
