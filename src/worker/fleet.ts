import { ConfigurationError } from "../core/errors.ts";
import { adoptFleet, endSession } from "../core/operations.ts";
import { type FleetRecord, SCHEMA } from "../core/records.ts";
import { isLiving } from "../core/session.ts";
import type { WorkerStore } from "./ports.ts";

export type FleetClaim = {
  /** Who this database shall belong to: outside a cluster the Docker Engine's ID. */
  readonly owner: string;
  readonly coordination: string;
  /** Random; tells a restored or dropped `runtime.*` from the one we know. */
  readonly incarnation: string;
  /** The operator vouches that no bot of the old fleet runs any more. */
  readonly oldFleetIsStopped?: boolean;
};

/** Makes sure that this database is ours before anything else is written to it.
 *  @throws {ConfigurationError} when another fleet holds it, or a newer version has written it. */
export async function claimFleet(store: WorkerStore, claim: FleetClaim): Promise<"claimed" | "ours" | "adopted"> {
  const { owner, coordination, incarnation, oldFleetIsStopped = false } = claim;
  const record: FleetRecord = { _id: "fleet", owner, coordination, schema: SCHEMA, incarnation };
  for (;;) {
    const held = await store.fleet();
    if (held === undefined) {
      if ((await store.insert("control", record)) === "inserted") return "claimed";
      continue;
    }
    if (held.schema > SCHEMA)
      throw new ConfigurationError(
        `Cannot use a database of schema ${held.schema}: this version writes schema ${SCHEMA}. Run the newer version again, or use another DB_NAME`,
      );
    if (held.owner === owner && !oldFleetIsStopped) return "ours";
    const living = (await store.workers()).filter((w) => isLiving(w.state));
    if (living.length > 0 && !oldFleetIsStopped)
      throw new ConfigurationError(
        `Cannot share a database: it belongs to fleet "${held.owner}", which has ${living.length} session(s) that never said good-bye ` +
          `(${living.map((w) => w.pod).join(", ")}). If none of its bots can still run, take it over with ` +
          "`runtime fleet adopt --old-fleet-is-stopped`; else use another DB_NAME",
      );
    const { _id, ...to } = record;
    if ((await store.apply(adoptFleet(held, to))) === "missed") continue;
    for (const { _id: sid, hbSeq } of living) await store.apply(endSession(sid, hbSeq));
    return "adopted";
  }
}
