// What happens to the leader.
import { resumeParts, signalParts } from "./pod-processes.ts";
import { beforeNode, type ClusterAct, type ClusterScene, LIMIT_MS } from "./act.ts";

const LONG_MS = 60_000;

/** Row 12, killed: until another term begins, be it of the same pod's next process. */
export const killLeader: ClusterAct = async (scene, pod) => {
  const { fleet } = scene;
  const term = await fleet.term();
  const began = performance.now();
  await signalParts(pod, ["runtime"], "SIGKILL");
  await nextTerm(scene, term);
  const controlGapMs = performance.now() - began;
  const limit = fleet.bounds.controlGapMs;
  const faults = controlGapMs > limit ? [`control gap ${Math.round(controlGapMs)} ms, expected at most ${limit}`] : [];
  return { bots: fleet.bots, closedAt: fleet.now(), faults, also: { controlGapMs } };
};

/** Row 12, clean: its pod is deleted, and the gap counts from the moment that the Lease is nobody's. */
export const deleteLeader: ClusterAct = async (scene, pod) => {
  const { fleet } = scene;
  const { bots: own, since } = await scene.before(pod);
  const [term, holder] = await Promise.all([fleet.term(), fleet.holder()]);
  await fleet.deletePod(pod);
  await scene.see("the Lease given up", LIMIT_MS, async () => {
    const [now, at] = await Promise.all([fleet.holder(), fleet.term()]);
    return now !== holder || at > term || undefined;
  });
  const began = performance.now();
  await nextTerm(scene, term);
  const cleanGapMs = performance.now() - began;
  const limit = fleet.bounds.cleanGapMs;
  const faults = cleanGapMs > limit ? [`clean control gap ${Math.round(cleanGapMs)} ms, expected at most ${limit}`] : [];
  const bots = fleet.bots.filter((bot) => !own.includes(bot));
  const closedAt = fleet.now();
  const boundMs = fleet.bounds.handOverMs(1_000, own.length);
  // They may be on their way still when the next one leads.
  const apart = { what: "ownBotsUnrunMs", bots: own, boundMs, closedAt: await scene.running(own, LIMIT_MS, since) };
  return { bots, closedAt, faults, also: { cleanGapMs }, apart };
};

/** Row 13: the leader's node is lost with all its workers, and with a worker of another node where it has none. */
export const loseLeaderNode: ClusterAct = async (scene, pod) => {
  const { fleet } = scene;
  const nodes = [pod.node];
  const lost = await beforeNode(scene, pod.node);
  let { bots, sids } = lost;
  if (bots.length === 0) {
    const other = (await fleet.workers()).find(({ node }) => node !== pod.node);
    if (other === undefined) throw new Error("Cannot lose a worker: all are on the leader's node");
    const more = await beforeNode(scene, other.node);
    nodes.push(other.node);
    bots = more.bots;
    sids = [...sids, ...more.sids];
  }
  await Promise.all(nodes.map((node) => fleet.cluster.crash(node)));
  const mend = async (): Promise<void> => {
    for (const node of nodes) await fleet.cluster.boot(node);
    for (const node of nodes) await scene.see(`${node} ready again`, LIMIT_MS, async () => (await fleet.isNodeReady(node)) || undefined);
  };
  try {
    const closedAt = await scene.takenOver(sids, bots, lost.since, fleet.bounds.sessionEndMs(bots.length));
    return { bots, closedAt, faults: [], mend };
  } catch (error) {
    await mend();
    throw error;
  }
};

/** Row 14. */
export const stopLeader: ClusterAct = async (scene, pod) => {
  const { fleet } = scene;
  const term = await fleet.term();
  const { bots: own, sid } = await scene.before(pod);
  const began = performance.now();
  await signalParts(pod, ["runtime"], "SIGSTOP");
  try {
    await nextTerm(scene, term);
    await scene.see(`the end of session ${sid}`, fleet.bounds.timings.endMs + LIMIT_MS, async () => {
      const { workers } = await fleet.books();
      return workers.some(({ _id, state }) => _id === sid && state === "dead") || undefined;
    });
    await scene.pause(scene.isShort ? 1_000 : Math.max(1_000, LONG_MS - (performance.now() - began)));
  } finally {
    await resumeParts(pod);
  }
  // What it still has in hand goes out before it ends.
  await scene.see(`another process in ${pod.name}`, LIMIT_MS, async () => {
    const now = (await fleet.workers()).find(({ uid }) => uid === pod.uid);
    return now === undefined || now.restarts > pod.restarts || undefined;
  });
  const bots = fleet.bots.filter((bot) => !own.includes(bot));
  const apart = { what: "ownBotsUnrunMs", bots: own, boundMs: fleet.bounds.sessionEndMs(own.length) };
  return { bots, closedAt: fleet.now(), faults: [], apart };
};

function nextTerm(scene: ClusterScene, term: number): Promise<true> {
  return scene.see("another leader's term", LIMIT_MS, async () => (await scene.fleet.term()) > term || undefined);
}
