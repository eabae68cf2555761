/** The group of Deployments. */
export const APPS = "apps/v1";

/** As much of an API object's metadata as we read. */
export type Meta = {
  readonly name?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly managedFields?: readonly ManagedFields[];
};
export type OwnerReference = { readonly apiVersion: string; readonly kind: string; readonly name: string; readonly uid: string };
export type ManagedFields = {
  readonly manager?: string;
  readonly operation?: string;
  readonly subresource?: string;
  readonly fieldsV1?: { readonly "f:spec"?: Readonly<Record<string, unknown>> };
};

/** Says that an object belongs to a Deployment and goes with it. */
export const deploymentReference = (named: { readonly name: string; readonly uid: string }): OwnerReference => ({
  apiVersion: APPS,
  kind: "Deployment",
  ...named,
});

/** Any object as it came. */
export type RawObject = { readonly metadata?: Meta } & Readonly<Record<string, unknown>>;

/** The path of one object, or of a collection, within a namespace. `group` as `apps/v1`; `v1` is the core. */
export function pathOf(group: string, namespace: string, resource: string, name?: string): string {
  const root = group === "v1" ? "/api/v1" : `/apis/${group}`;
  return `${root}/namespaces/${encodeURIComponent(namespace)}/${resource}${name === undefined ? "" : `/${encodeURIComponent(name)}`}`;
}

/** A time as Leases want it, with microseconds. */
export function microTime(time: Date): string {
  return time.toISOString().replace("Z", "000Z");
}
