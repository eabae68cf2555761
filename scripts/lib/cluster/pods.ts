// Pods as far as tests and benches ask about them.

export interface Pod {
  readonly name: string;
  readonly uid: string;
  /** Empty while it waits for one. */
  readonly node: string;
  readonly isReady: boolean;
  readonly isTerminating: boolean;
  readonly phase: string;
  /** In ms since 1970, to the second. */
  readonly createdAt: number;
  readonly restarts: number;
  readonly containers: readonly string[];
}

/** A list of pods as the API server gives it. */
export function readPods({ items }: RawPods): Pod[] {
  return items.map(({ metadata, spec, status }) => {
    const states = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
    return {
      name: metadata.name,
      uid: metadata.uid,
      node: spec.nodeName ?? "",
      isReady: status.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") ?? false,
      isTerminating: metadata.deletionTimestamp !== undefined,
      phase: status.phase,
      createdAt: Date.parse(metadata.creationTimestamp),
      restarts: states.reduce((sum, { restartCount }) => sum + restartCount, 0),
      containers: states.map(({ containerID = "" }) => containerID),
    };
  });
}

/** A line for whoever waited in vain. */
export function describePod({ name, node, phase, isReady, isTerminating, restarts }: Pod): string {
  const state = isTerminating ? "ending" : isReady ? "ready" : "not ready";
  return `${name} on ${node === "" ? "no node" : node}: ${phase}, ${state}, ${restarts} restarts`;
}

type RawContainer = { readonly restartCount: number; readonly containerID?: string };
export type RawPods = {
  readonly items: readonly {
    readonly metadata: {
      readonly name: string;
      readonly uid: string;
      readonly creationTimestamp: string;
      readonly deletionTimestamp?: string;
    };
    readonly spec: { readonly nodeName?: string };
    readonly status: {
      readonly phase: string;
      readonly conditions?: readonly { readonly type: string; readonly status: string }[];
      readonly containerStatuses?: readonly RawContainer[];
      readonly initContainerStatuses?: readonly RawContainer[];
    };
  }[];
};
