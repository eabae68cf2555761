import type { Clock } from "../core/clock.ts";
import { ConfigurationError } from "../core/errors.ts";
import { isLiving, isMoving } from "../core/session.ts";
import { claimFleet } from "../worker/fleet.ts";
import type { WorkerStore } from "../worker/ports.ts";

/** How many renewals are waited for before a session is taken for silent. */
const RENEWALS = 3;

export type AdoptOptions = {
  readonly store: WorkerStore;
  readonly clock: Clock;
  /** Our own fleet. */
  readonly owner: string;
  readonly coordination: string;
  readonly incarnation: string;
  readonly dbName: string;
  /** H of ownership.md, in ms. */
  readonly renewMs: number;
};

/** `runtime fleet adopt`: the database is ours from now on, in a new life: of its sessions and epochs nothing counts any
 *  more. Also for our own database, after `runtime.*` came back from a dump. Gives a sentence that says what was done.
 *  @throws {ConfigurationError} when a session still renews, so that the fleet cannot be stopped; nothing was written then */
export async function adoptFleet({ store, clock, renewMs, dbName, ...claim }: AdoptOptions): Promise<string> {
  const held = await store.fleet();
  const before = (await store.workers()).filter((w) => isLiving(w.state));
  if (before.length > 0) {
    // A person vouches for what cannot be seen from here. What can be seen is looked at all the same.
    await clock.sleep(RENEWALS * renewMs, new AbortController().signal);
    const past = new Map(before.map((w) => [w._id, w]));
    const moving = (await store.workers()).filter((w) => isLiving(w.state) && isMoving(past.get(w._id) ?? { inc: 0, hbSeq: -1 }, w));
    if (moving.length > 0)
      throw new ConfigurationError(
        `Cannot adopt the database "${dbName}": ${moving.length} session(s) of it still renew ` +
          `(${moving.map((w) => w.pod).join(", ")}), so that fleet is not stopped. Stop them first; nothing was written`,
      );
  }
  await claimFleet(store, { ...claim, oldFleetIsStopped: true });
  const ended = before.length === 0 ? "" : `. ${before.length} silent session(s) were ended: ${before.map((w) => w.pod).join(", ")}`;
  if (held === undefined) return `Database "${dbName}" belongs to fleet "${claim.owner}" from now on`;
  if (held.owner !== claim.owner)
    return `Database "${dbName}" belongs to fleet "${claim.owner}" from now on, no longer to "${held.owner}"${ended}`;
  return `Database "${dbName}" stays with fleet "${claim.owner}" and begins a new life${ended}`;
}
