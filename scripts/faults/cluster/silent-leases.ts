import { readLease } from "../../../src/kubernetes/worker-lease.ts";

/** As much of a Lease list as is read here. */
export type RawLeases = {
  readonly items: readonly {
    readonly metadata: { readonly name: string; readonly resourceVersion: string; readonly annotations?: Readonly<Record<string, string>> };
    readonly spec?: { readonly renewTime?: string };
  }[];
};

export type ExpectedLeases = {
  /** The Lease of leadership. */
  readonly election: string;
  /** Sessions that live, by what to call them. */
  readonly sessions: ReadonlyMap<string, string>;
  /** The wall clock, which the Leases bear as well, in ms since 1970. */
  readonly nowMs: number;
  readonly maxAgeMs: number;
};

/** Who does not reach the API server: its Lease is missing or has not been renewed for too long. After an outage of that server the
 *  way to it, which kube-proxy makes, may be closed to pods for as long as a minute after it is ready for everybody else. */
export function findSilentLeases({ items }: RawLeases, { election, sessions, nowMs, maxAgeMs }: ExpectedLeases): string[] {
  const bySid = new Map(items.map((raw) => [readLease(raw)?.lease.sid as string | undefined, raw]));
  const expected = [
    { what: "the leader", lease: items.find(({ metadata }) => metadata.name === election) },
    ...[...sessions].map(([sid, what]) => ({ what, lease: bySid.get(sid) })),
  ];
  return expected.flatMap(({ what, lease }) => {
    const renewed = lease?.spec?.renewTime;
    if (renewed === undefined) return [`${what}: has no Lease`];
    const ageMs = nowMs - Date.parse(renewed);
    return ageMs > maxAgeMs ? [`${what}: has not renewed its Lease for ${Math.round(ageMs / 1_000)} s`] : [];
  });
}
