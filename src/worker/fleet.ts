import { decideClaim } from "../core/claim.ts";
import { ConfigurationError } from "../core/errors.ts";
import { endSession } from "../core/operations.ts";
import { type FleetRecord, SCHEMA } from "../core/records.ts";
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
  const mine: FleetRecord = { _id: "fleet", owner, coordination, schema: SCHEMA, incarnation };
  for (;;) {
    const held = await store.fleet();
    const verdict = decideClaim({ held, workers: await store.workers(), mine, oldFleetIsStopped });
    switch (verdict.kind) {
      case "ours":
        return "ours";
      case "insert":
        if ((await store.insert("control", verdict.record)) === "inserted") return "claimed";
        break;
      case "adopt":
        if ((await store.apply(verdict.operation)) === "missed") break;
        for (const { _id: sid, hbSeq } of verdict.living) await store.apply(endSession(sid, hbSeq));
        return "adopted";
      case "refuse":
        throw new ConfigurationError(refusal(verdict));
    }
  }
}

/** The same look once more after our session was announced: another fleet may have found the database at the same moment.
 *  Gives the incarnation that holds. @throws {ConfigurationError} when it is not ours, and nothing was started. */
export async function confirmClaim(store: WorkerStore, { owner, coordination, incarnation }: FleetClaim): Promise<string> {
  const held = await store.fleet();
  const mine: FleetRecord = { _id: "fleet", owner, coordination, schema: SCHEMA, incarnation };
  const verdict = decideClaim({ held, workers: await store.workers(), mine, oldFleetIsStopped: false });
  if (verdict.kind === "ours" && held !== undefined) return held.incarnation;
  if (verdict.kind === "refuse") throw new ConfigurationError(refusal(verdict));
  throw new ConfigurationError("Cannot keep a database that was given to another fleet while this process started: use another DB_NAME");
}

function refusal({ why, held, living }: Extract<ReturnType<typeof decideClaim>, { kind: "refuse" }>): string {
  if (why === "newer-schema")
    return `Cannot use a database of schema ${held.schema}: this version writes schema ${SCHEMA}. Run the newer version again, or use another DB_NAME`;
  return (
    `Cannot share a database: it belongs to fleet "${held.owner}", which has ${living.length} session(s) that never said good-bye ` +
    `(${living.map((w) => w.pod).join(", ")}). If none of its bots can still run, take it over with ` +
    "`runtime fleet adopt --old-fleet-is-stopped`; else use another DB_NAME"
  );
}
