import type { FoundLeadership, Leadership } from "../core/election.ts";
import type { SessionId } from "../core/ids.ts";
import { LEASES } from "./worker-lease.ts";
import { microTime, type OwnerReference, type RawObject } from "./objects.ts";

/** Names the holder that said with its last renewal that it reaches MongoDB; absent when it did not. Bound to the holder, so
 *  that a word that was left there by another leader, and written back by a version that does not know it, says nothing. */
const STORE_SEEN = "botrunner.io/store-seen";

/** The Lease as it was found: what is not ours in it is written back as it was. */
export type FoundElection = FoundLeadership & {
  readonly metadata: {
    readonly labels?: Readonly<Record<string, string>> | undefined;
    readonly annotations?: Readonly<Record<string, string>> | undefined;
    readonly ownerReferences?: readonly OwnerReference[] | undefined;
    readonly finalizers?: readonly string[] | undefined;
  };
  readonly acquireTime: string | undefined;
};

type Spec = {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly leaseTransitions?: number;
};

/** Client-go's record. A Lease with metadata only, as the chart installs it, is held by nobody. */
export function readElection(raw: RawObject): FoundElection | undefined {
  const { metadata = {} } = raw;
  const { resourceVersion: version, labels, annotations, ownerReferences } = metadata;
  if (version === undefined) return undefined;
  const { finalizers } = metadata as { readonly finalizers?: readonly string[] };
  const spec = (raw["spec"] ?? {}) as Spec;
  const holder = spec.holderIdentity === undefined || spec.holderIdentity === "" ? null : (spec.holderIdentity as SessionId);
  return {
    record: { holder, leaseMs: (spec.leaseDurationSeconds ?? 0) * 1_000, changes: spec.leaseTransitions ?? 0 },
    version,
    reachesStore: holder !== null && annotations?.[STORE_SEEN] === holder,
    metadata: { labels, annotations, ownerReferences, finalizers },
    acquireTime: spec.acquireTime,
  };
}

export type ElectionBody = {
  readonly name: string;
  readonly namespace: string;
  readonly record: Leadership;
  /** Whether the holder reaches MongoDB at this moment. */
  readonly reachesStore: boolean;
  /** What it replaces. */
  readonly found: FoundElection | undefined;
  /** For a Lease that is made anew. */
  readonly owner: OwnerReference;
  readonly now: Date;
};

/** A Lease without a holder has no `holderIdentity` at all: an empty one is how client-go reads that. The duration is never
 *  shorter than what was promised: others count with it. */
export function electionBody({ name, namespace, record, reachesStore, found, owner, now }: ElectionBody): object {
  const { holder, leaseMs, changes } = record;
  const renewTime = microTime(now);
  const isSame = found !== undefined && holder !== null && found.record.holder === holder;
  const { [STORE_SEEN]: _, ...annotations } = found?.metadata.annotations ?? {};
  return {
    apiVersion: LEASES,
    kind: "Lease",
    metadata: {
      ...found?.metadata,
      annotations: { ...annotations, ...(reachesStore && holder !== null && { [STORE_SEEN]: holder }) },
      name,
      namespace,
      ...(found !== undefined && { resourceVersion: found.version }),
      ...(found === undefined && { ownerReferences: [owner] }),
    },
    spec: {
      ...(holder !== null && { holderIdentity: holder }),
      leaseDurationSeconds: Math.max(1, Math.ceil(leaseMs / 1_000)),
      acquireTime: isSame ? (found.acquireTime ?? renewTime) : renewTime,
      renewTime,
      leaseTransitions: changes,
    },
  };
}
