/** Everything long-lived: it runs until the signal aborts, then returns. Nobody else owns timers. */
export type Actor = (signal: AbortSignal) => Promise<void>;

/** Runs actors together: the first to end ends all, all are awaited, and what went wrong is thrown as one.
 *  @throws {AggregateError} with every fault that is not the abort itself. */
export async function runGroup(actors: readonly Actor[], outer: AbortSignal): Promise<void> {
  const inner = new AbortController();
  const signal = AbortSignal.any([outer, inner.signal]);
  const ends = await Promise.allSettled(actors.map((actor) => actor(signal).finally(() => inner.abort())));
  const faults = ends.flatMap((end) => (end.status === "rejected" && end.reason !== signal.reason ? [end.reason as unknown] : []));
  if (faults.length > 0) throw new AggregateError(faults, "Cannot keep the process running");
}
