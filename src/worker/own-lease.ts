import type { SessionId } from "../core/ids.ts";
import type { FoundLease, LeaseReply, LeaseWrite } from "../core/lease.ts";

/** The second store in which a session lives: its worker's own Lease. Every call ends within the time of one renewal.
 *  @throws {ClusterUnreachableError} when the outcome is unknown: it may have landed. */
export interface OwnLease {
  get(sid: SessionId): Promise<FoundLease | undefined>;
  write(write: LeaseWrite): Promise<LeaseReply>;
}
