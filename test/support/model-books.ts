import type { FleetBooks, FleetSigns } from "../../src/cli/ports.ts";
import type { FoundLeadership } from "../../src/core/election.ts";
import { askToDrain } from "../../src/core/operations.ts";
import type { ModelStore } from "./model-store.ts";

/** The fleet's books over a store in memory. `election`: the lease as each look finds it. */
export function modelBooks(
  store: ModelStore,
  election: () => FoundLeadership | undefined = () => undefined,
): FleetBooks & { closed: number } {
  const signs = async (): Promise<FleetSigns> => ({ workers: await store.workers(), view: store.published, election: election() });
  return {
    closed: 0,
    signs,
    look: async () => ({
      fleet: await store.fleet(),
      term: await store.leaderTerm(),
      active: await store.activeSegments(),
      segments: await store.segments(),
      ...(await signs()),
    }),
    workers: () => store.workers(),
    ownedBy: async (id) => (await store.segments()).flatMap((s) => (s.owner === id ? [s._id] : [])),
    askToDrain: async (id) => ((await store.apply(askToDrain(id))) === "won" ? "asked" : "ended"),
    async close() {
      this.closed += 1;
    },
  };
}
