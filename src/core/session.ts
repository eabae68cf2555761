import type { SessionState } from "./records.ts";

/** One look at another session's counter, stamped on the observer's own clock. */
export type Observation = { readonly inc: number; readonly hbSeq: number };

/** Whether a session that we did not start is alive: its counter moved between two looks. `dead` and `gone` are final. */
export function isMoving(before: Observation, later: Observation): boolean {
  return later.inc !== before.inc || later.hbSeq !== before.hbSeq;
}

export function isLiving(state: SessionState): boolean {
  return state === "up" || state === "draining";
}
