// What happens to a whole node: it is lost, stands still, or is cut off from one store or both.
import { beforeNode, bear, type ClusterAct, LIMIT_MS } from "./act.ts";

/** Longer than L, so that a store that is missed would have been missed. */
const CUT_MS = 15_000;
/** A node that stands still for longer is told from one that is slow. */
const FREEZE_MS = 60_000;

/** Row 2. */
export const loseNode: ClusterAct = async (scene, { node }) => {
  const { fleet } = scene;
  const { bots, sids, since } = await beforeNode(scene, node);
  await fleet.cluster.crash(node);
  const mend = async (): Promise<void> => {
    await fleet.cluster.boot(node);
    await scene.see(`${node} ready again`, LIMIT_MS, async () => (await fleet.isNodeReady(node)) || undefined);
  };
  try {
    const closedAt = await scene.takenOver(sids, bots, since, fleet.bounds.sessionEndMs(bots.length));
    return { bots, closedAt, faults: [], mend };
  } catch (error) {
    await mend();
    throw error;
  }
};

/** Row 5b. */
export const freezeNode: ClusterAct = async (scene, { node }) => {
  const { fleet } = scene;
  const { bots, sids, since } = await beforeNode(scene, node);
  const began = performance.now();
  await fleet.cluster.freeze(node);
  const mend = (): Promise<void> => fleet.cluster.thaw(node);
  try {
    const closedAt = await scene.takenOver(sids, bots, since, fleet.bounds.sessionEndMs(bots.length));
    await scene.pause(scene.isShort ? 1_000 : Math.max(1_000, FREEZE_MS - (performance.now() - began)));
    return { bots, closedAt, faults: [], mend };
  } catch (error) {
    await mend();
    throw error;
  }
};

/** Row 18b: all pods of the node are evicted, and none of them comes back there. */
export const drainNode: ClusterAct = async (scene, { node }) => {
  const { fleet } = scene;
  const { bots, sids, since } = await beforeNode(scene, node);
  const mend = async (): Promise<void> => void (await fleet.release.kubectl("uncordon", node));
  try {
    await fleet.release.kubectl("cordon", node);
    const drained = fleet.release.kubectl("drain", node, "--delete-emptydir-data", "--timeout=120s", "--request-timeout=0");
    drained.catch(() => undefined); // waited for below
    const closedAt = await scene.takenOver(sids, bots, since, scene.ms(FREEZE_MS));
    await drained;
    return { bots, closedAt, faults: [], mend };
  } catch (error) {
    await mend();
    throw error;
  }
};

/** Rows 6 and 7. `machine`: where MongoDB is. */
export const cutNodeFrom =
  (what: "machine" | "api"): ClusterAct =>
  async (scene, { node }) => {
    const { cluster } = scene.fleet;
    const cut = { ms: scene.ms(CUT_MS), begin: () => cluster.cut(node, what), end: () => cluster.heal(node) };
    return bear(scene, await beforeNode(scene, node), cut);
  };

/** Row 8. */
export const cutNodeFromBoth: ClusterAct = async (scene, { node }) => {
  const { fleet } = scene;
  const { bots, sids, since } = await beforeNode(scene, node);
  const heal = (): Promise<void> => fleet.cluster.heal(node);
  try {
    await Promise.all([fleet.cluster.cut(node, "machine"), fleet.cluster.cut(node, "api")]);
    const closedAt = await scene.takenOver(sids, bots, since, fleet.bounds.sessionEndMs(bots.length));
    return { bots, closedAt, faults: [], mend: heal };
  } catch (error) {
    await heal();
    throw error;
  }
};
