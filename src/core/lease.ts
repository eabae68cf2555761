import type { SessionId } from "./ids.ts";
import type { LeaseOutcome } from "./session.ts";

/** A worker's own Kubernetes Lease: the second store in which its session lives. The object's resourceVersion is the
 *  counter: it changes with every write, and a write names the one it has seen. */
export type WorkerLease = {
  readonly sid: SessionId;
  readonly inc: number;
  /** Which database's life the session belongs to: `control.fleet.incarnation`. */
  readonly incarnation: string;
  /** The leader's mark: this Lease keeps nobody alive any more. */
  readonly revoked: boolean;
};
export type LeaseVersion = string;
export type FoundLease = { readonly lease: WorkerLease; readonly version: LeaseVersion };

/** A write of a Lease as data: a compare-and-set on the version, or an insert when there shall be none. */
export type LeaseWrite = {
  readonly op: "O1'" | "O3";
  readonly sid: SessionId;
  readonly put: WorkerLease;
  /** `undefined`: only if there is no such Lease. */
  readonly expect: LeaseVersion | undefined;
};

/** How a write went. `conflict`: the Lease is not as it was expected, and stays as it is. */
export type LeaseReply = { readonly kind: "written"; readonly version: LeaseVersion } | { readonly kind: "conflict" };

/** O1': renews, or takes the mark away once the session has proven that it lives. */
export function renewLease(mine: Omit<WorkerLease, "revoked">, expect: LeaseWrite["expect"]): LeaseWrite {
  return { op: "O1'", sid: mine.sid, put: { ...mine, revoked: false }, expect };
}

/** O3, the half in Kubernetes. A Lease that carries the mark already is written all the same: only a write proves that
 *  its worker has not taken the mark away since we looked. */
export function revokeLease(sid: SessionId, seen: FoundLease | undefined): LeaseWrite {
  const put = { inc: 0, incarnation: "", ...seen?.lease, sid, revoked: true };
  return { op: "O3", sid, put, expect: seen?.version };
}

/** After a conflict: what the Lease that stands there means for a process of this session. `mine`: a write of our own whose
 *  answer was lost, or an older process's, or one from before the database was dropped; take its version and write again. */
export function judgeLease(
  found: FoundLease | undefined,
  { inc, incarnation }: Pick<WorkerLease, "inc" | "incarnation">,
): Extract<LeaseOutcome, "barred" | "replaced"> | "mine" {
  if (found === undefined || found.lease.revoked) return "barred";
  return found.lease.inc > inc && found.lease.incarnation === incarnation ? "replaced" : "mine";
}
