import { adoptFleet, type Operation } from "./operations.ts";
import { type FleetRecord, SCHEMA, type WorkerRecord } from "./records.ts";
import { isLiving } from "./session.ts";

/** What a process may do with a database before it writes anything else to it. */
export type ClaimVerdict =
  | { readonly kind: "insert"; readonly record: FleetRecord }
  | { readonly kind: "ours" }
  /** Every session of the fleet that holds it has said good-bye, or an operator vouches that none of its bots runs. */
  | { readonly kind: "adopt"; readonly operation: Operation; readonly living: readonly WorkerRecord[] }
  | {
      readonly kind: "refuse";
      readonly why: "newer-schema" | "living-sessions";
      readonly held: FleetRecord;
      readonly living: readonly WorkerRecord[];
    };

export type Claim = {
  readonly held: FleetRecord | undefined;
  readonly workers: readonly WorkerRecord[];
  readonly mine: FleetRecord;
  readonly oldFleetIsStopped: boolean;
};

/** Asked before a session is opened, and once more after that: two fleets that find a database at the same moment each
 *  announce a session first and look for the other's then, so at most one of them goes on. */
export function decideClaim({ held, workers, mine, oldFleetIsStopped }: Claim): ClaimVerdict {
  if (held === undefined) return { kind: "insert", record: mine };
  const living = workers.filter((w) => isLiving(w.state));
  const others = living.filter((w) => (w.fleet ?? held.owner) !== mine.owner);
  if (held.schema > SCHEMA) return { kind: "refuse", why: "newer-schema", held, living: others };
  if (others.length > 0 && !oldFleetIsStopped) return { kind: "refuse", why: "living-sessions", held, living: others };
  if (held.owner === mine.owner && !oldFleetIsStopped) return { kind: "ours" };
  const { _id, ...to } = mine;
  return { kind: "adopt", operation: adoptFleet(held, to), living: oldFleetIsStopped ? living : [] };
}
