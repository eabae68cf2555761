import { podOf, type SessionId } from "../core/ids.ts";
import type { Cluster } from "./cluster.ts";

const DELETION_COST = "controller.kubernetes.io/pod-deletion-cost";

/** Writes what the sessions' pods cost to delete, where that has changed: the dearest first, so that after each write no busy pod is
 *  cheaper than an idle one. `onlyChanged`: a pod without a price that is to be cheap stays as it is, for it counts as 0. */
export async function pricePods(cluster: Cluster, costs: ReadonlyMap<SessionId, number>, { onlyChanged = false } = {}): Promise<void> {
  const byUid = new Map(cluster.pods().map((pod) => [pod.uid, pod]));
  for (const [sid, cost] of [...costs].toSorted(([, a], [, b]) => b - a)) {
    const pod = byUid.get(podOf(sid));
    const price = pod?.annotations[DELETION_COST];
    if (pod === undefined || price === String(cost) || (onlyChanged && price === undefined && cost < 0)) continue;
    await cluster.patchPod(pod.name, { annotations: { [DELETION_COST]: String(cost) } });
  }
}
