import { ClusterRefusedError } from "../core/errors.ts";
import type { SessionId } from "../core/ids.ts";
import type { FoundLease, LeaseReply, LeaseWrite } from "../core/lease.ts";
import { type ApiClient, FIELD_MANAGER } from "./client.ts";
import { microTime, type OwnerReference, pathOf, type RawObject } from "./objects.ts";

export const LEASES = "coordination.k8s.io/v1";

/** Where the Leases of one fleet's workers lie. */
export type LeasePlace = {
  readonly client: ApiClient;
  readonly namespace: string;
  /** LEASE_LOCK_NAME: begins each name, and tells two fleets in a namespace apart. */
  readonly lock: string;
  /** The Deployment, so that nothing is left when it is deleted. A Lease that goes with it is no sign of death to anybody:
   *  whoever ends a session whose Lease is absent makes one that carries the mark. */
  readonly owner: OwnerReference;
  /** For people: nothing counts with it. In ms. */
  readonly leaseMs: number;
  /** No call takes longer, in ms. */
  readonly callMs: number;
  /** For people. */
  readonly wall: () => Date;
};

const SID = "botrunner.io/sid";
const INC = "botrunner.io/inc";
const INCARNATION = "botrunner.io/incarnation";
const REVOKED = "botrunner.io/revoked";
const LABEL = "botrunner.io/lease";
const INSTANCE = "app.kubernetes.io/instance";
const MAX_LABEL = 63;

/** What only a Lease of one fleet's worker has. */
export function leaseSelector(lock: string): string {
  return Object.entries(fleetLabels(lock))
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
}

/** Reads a worker's Lease; `undefined`: it is none. The version must be there: an object without one was never stored. */
export function readLease({ metadata = {} }: RawObject): FoundLease | undefined {
  const { resourceVersion: version, annotations = {} } = metadata;
  const sid = annotations[SID];
  if (sid === undefined || version === undefined) return undefined;
  const inc = Number(annotations[INC]);
  const lease = {
    sid: sid as SessionId,
    inc: Number.isSafeInteger(inc) ? inc : 0,
    incarnation: annotations[INCARNATION] ?? "",
    revoked: annotations[REVOKED] === "true",
  };
  return { lease, version };
}

/** @throws {ClusterUnreachableError} {ClusterRefusedError} */
export async function getLease({ client, namespace, lock, callMs }: LeasePlace, sid: SessionId): Promise<FoundLease | undefined> {
  const name = leaseName(lock, sid);
  const path = pathOf(LEASES, namespace, "leases", name);
  const { status, body } = await client.call({ verb: "get", what: `leases "${name}"`, path, limitMs: callMs, expect: [404] });
  return status === 404 ? undefined : readLease(body as RawObject);
}

/** A create, or a replacement of the version that was seen. The time in it makes every write one: the API server does not
 *  store what changes nothing, and then no version would rise. `holder`: the pod's name, as far as it is known.
 *  @throws {ClusterUnreachableError} the outcome is unknown. @throws {ClusterRefusedError} */
export async function putLease(place: LeasePlace, { sid, put, expect }: LeaseWrite, holder: string | undefined): Promise<LeaseReply> {
  const { client, namespace, lock, owner, leaseMs, callMs, wall } = place;
  const name = leaseName(lock, sid);
  const body = {
    apiVersion: LEASES,
    kind: "Lease",
    metadata: {
      name,
      namespace,
      ...(expect !== undefined && { resourceVersion: expect }),
      labels: { ...fleetLabels(lock), "app.kubernetes.io/component": "worker", "app.kubernetes.io/managed-by": FIELD_MANAGER },
      annotations: { [SID]: sid, [INC]: String(put.inc), [INCARNATION]: put.incarnation, [REVOKED]: String(put.revoked) },
      ownerReferences: [owner],
    },
    spec: {
      ...(holder !== undefined && { holderIdentity: holder }),
      leaseDurationSeconds: Math.max(1, Math.round(leaseMs / 1_000)),
      renewTime: microTime(wall()),
    },
  };
  const isNew = expect === undefined;
  const path = `${pathOf(LEASES, namespace, "leases", isNew ? undefined : name)}?fieldManager=${FIELD_MANAGER}`;
  const what = `leases "${name}"`;
  const reply = await client.call({
    verb: isNew ? "create" : "update",
    what,
    path,
    body,
    limitMs: callMs,
    expect: isNew ? [409] : [404, 409],
  });
  if (reply.status >= 400) {
    if (isNew && !alreadyExists(reply.body))
      throw new ClusterRefusedError(`Cannot create ${what}: ${JSON.stringify(reply.body)}`, reply.status);
    return { kind: "conflict" };
  }
  return { kind: "written", version: (reply.body as RawObject).metadata?.resourceVersion ?? "" };
}

/** One that is gone already is no fault. @throws {ClusterUnreachableError} {ClusterRefusedError} */
export async function removeLease({ client, namespace, lock, callMs }: LeasePlace, sid: SessionId): Promise<void> {
  const name = leaseName(lock, sid);
  const path = pathOf(LEASES, namespace, "leases", name);
  await client.call({ verb: "delete", what: `leases "${name}"`, path, limitMs: callMs, expect: [404] });
}

/** A pod's UID keeps its letters; `/` and what else no object may be called become dashes. */
function leaseName(lock: string, sid: SessionId): string {
  return `${lock}-${sid.toLowerCase().replaceAll(/[^a-z0-9.-]/g, "-")}`;
}

function fleetLabels(lock: string): Readonly<Record<string, string>> {
  return { [LABEL]: "worker", [INSTANCE]: lock.slice(0, MAX_LABEL) };
}

/** A create in a namespace that is being deleted is a 403, so a 409 that says anything else is not known to us. */
function alreadyExists(body: unknown): boolean {
  return (body as { readonly reason?: unknown } | undefined)?.reason === "AlreadyExists";
}
