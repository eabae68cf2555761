import type { Clock } from "../core/clock.ts";
import { nextTerm } from "../core/operations.ts";
import { retryPassing } from "../process/retry.ts";
import type { LeaderBus } from "./events.ts";
import type { LeaderStore } from "./ports.ts";

export type TermParts = { readonly store: LeaderStore; readonly clock: Clock; readonly bus: LeaderBus };

/** O7: every leader's writes carry a term of their own. Tries until it has one. @throws the signal's reason */
export function takeTerm({ store, clock, bus }: TermParts, signal: AbortSignal): Promise<number> {
  const onRetry = (error: unknown): void => void bus.emit("round:failed", { loop: "term", error });
  // One leader: there is no crowd to spread.
  return retryPassing(() => tryTerm(store, signal), { clock, random: () => 0.5, signal, onRetry });
}

async function tryTerm(store: LeaderStore, signal: AbortSignal): Promise<number> {
  for (;;) {
    signal.throwIfAborted();
    const term = await store.leaderTerm();
    if (term === undefined) {
      if ((await store.insert("control", { _id: "leader", term: 1 })) === "inserted") return 1;
    } else if ((await store.apply(nextTerm(term))) === "won") return term + 1;
  }
}
