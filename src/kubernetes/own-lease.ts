import type { SessionId } from "../core/ids.ts";
import type { FoundLease, LeaseReply, LeaseWrite } from "../core/lease.ts";
import type { OwnLease } from "../worker/own-lease.ts";
import { getLease, type LeasePlace, putLease } from "./worker-lease.ts";

/** A worker's own Lease, for the heartbeat thread: one kept connection, no watch. */
export class KubernetesOwnLease implements OwnLease {
  readonly #place: LeasePlace;
  readonly #pod: string;

  /** @param pod this pod's name, for people who look at the Lease */
  constructor(place: LeasePlace, pod: string) {
    this.#place = place;
    this.#pod = pod;
  }

  get(sid: SessionId): Promise<FoundLease | undefined> {
    return getLease(this.#place, sid);
  }

  write(write: LeaseWrite): Promise<LeaseReply> {
    return putLease(this.#place, write, this.#pod);
  }
}
