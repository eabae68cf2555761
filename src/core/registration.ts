import type { SessionId } from "./ids.ts";
import type { WorkerRecord } from "./records.ts";
import { isLiving } from "./session.ts";

/** How a process comes by its session (O0). */
export type Registration =
  /** Its last life goes on: another process of this worker has ended, and its bots may still run. */
  | { readonly kind: "continue"; readonly record: WorkerRecord }
  /** A new life under a name of its own, for `dead` and `gone` are final. It begins on a fresh dockerd, even if none is
   *  known before it: the records may have been dropped, and what an earlier life asked for may be in dockerd's hands. */
  | { readonly kind: "open"; readonly sid: SessionId };

/** `base` names the worker for all its lives: the pod's UID, outside a cluster the Docker Engine's ID. */
export function planRegistration(base: string, workers: readonly WorkerRecord[]): Registration {
  const lives = workers.filter((w) => w._id === base || w._id.startsWith(`${base}/`)).toSorted((a, b) => lifeOf(a) - lifeOf(b));
  const last = lives.at(-1);
  if (last === undefined) return { kind: "open", sid: base as SessionId };
  if (isLiving(last.state)) return { kind: "continue", record: last };
  return { kind: "open", sid: `${base}/${lifeOf(last) + 1}` as SessionId };
}

/** The n of `base/n`; the first life has none and counts as 1. */
function lifeOf({ _id }: WorkerRecord): number {
  const slash = _id.lastIndexOf("/");
  return slash < 0 ? 1 : Number(_id.slice(slash + 1));
}
