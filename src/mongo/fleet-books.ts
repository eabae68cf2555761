import type { FleetBooks, FleetSigns } from "../cli/ports.ts";
import { askToDrain } from "../core/operations.ts";
import { type MongoOptions, openClient } from "./connect.ts";
import { MongoElection } from "./election.ts";
import { MongoStore } from "./store.ts";

/** No call about the election waits longer, in ms: nobody's lease hangs on this one. */
const ELECTION_LIMIT_MS = 10_000;

/** The command line's way to the fleet's books, with the user's own rights. @throws {StoreUnreachableError} */
export async function openFleetBooks(options: MongoOptions): Promise<FleetBooks> {
  const { client, guard } = await openClient(options);
  const db = client.db(options.dbName);
  const store = new MongoStore(db, db.collection(options.collectionName), guard);
  const election = new MongoElection(db, options.timeoutMs ?? ELECTION_LIMIT_MS);

  async function signs(): Promise<FleetSigns> {
    const [workers, view, lease] = await Promise.all([store.workers(), store.fleetView(), election.read()]);
    return { workers, view, election: lease };
  }

  return {
    signs,
    async look() {
      const [fleet, term, active, segments] = await Promise.all([
        store.fleet(),
        store.leaderTerm(),
        store.activeSegments(),
        store.segments(),
      ]);
      return { fleet, term, active, segments, ...(await signs()) };
    },
    workers: () => store.workers(),
    ownedBy: async (id) => (await store.ownedSegments(id, [])).flatMap((s) => (s.owner === id ? [s._id] : [])),
    askToDrain: async (id) => ((await store.apply(askToDrain(id))) === "won" ? "asked" : "ended"),
    close: () => client.close(),
  };
}
