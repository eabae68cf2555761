// What happens to one pod.
import { join } from "node:path";

import { run } from "../../lib/command.ts";
import { pidsOf, resumeParts, signalParts } from "./pod-processes.ts";
import type { Pod } from "../../lib/cluster/pods.ts";
import { bear, type ClusterAct, type ClusterScene, LIMIT_MS, sessionsOf } from "./act.ts";

const BRIEF_MS = 3_000;
const LONG_MS = 60_000;
const HANG_MS = 30_000;
const SHORT_HANG_MS = 20_000;
const FAKE_MS = 2_000;
const uptimeCover = join(import.meta.dirname, "cover-uptime.py");

/** Row 1. How soon it is back is the kubelet's affair: where that takes longer than the lease its bots may have ended with that, as in
 *  row 1b, and are told apart. */
export const killRuntime: ClusterAct = async (scene, pod) => {
  const { bounds } = scene.fleet;
  const { bots, sid, since } = await scene.before(pod);
  const { inc } = await scene.session(pod);
  const began = performance.now();
  await signalParts(pod, ["runtime"], "SIGKILL");
  const now = await scene.see(`${pod.name} back`, LIMIT_MS, async () => {
    const found = await scene.session(pod);
    return found._id !== sid || found.inc > inc ? found : undefined;
  });
  const backMs = performance.now() - began;
  // The lease had been renewed up to one interval before.
  if (backMs < bounds.timings.fenceMs - bounds.timings.renewMs)
    return { bots, closedAt: scene.fleet.now(), faults: await scene.otherSession(pod, sid), also: { backMs } };
  const isOver = now._id !== sid;
  const limitMs = bounds.sessionEndMs(bots.length) + LIMIT_MS;
  const closedAt = isOver ? await scene.takenOver(sid, bots, since, limitMs) : await scene.running(bots, limitMs);
  const apart = { what: "lateBotsUnrunMs", bots, boundMs: bounds.sessionEndMs(bots.length) };
  return { bots: [], closedAt, faults: [], apart, also: { lateBackMs: backMs } };
};

/** Row 1b: the kubelet waits 10 s before the second start and 20 s before the third, which one of them is longer than W. Where the wait
 *  before the last crash was, its bots were dead already when it came, by the crash before: the bound is counted from the last one. */
export const killRuntimeAgain: ClusterAct = async (scene, pod) => {
  const { bots, sid, since } = await scene.before(pod);
  const { profile } = scene.fleet.options;
  const { bounds } = scene.fleet;
  const killedAt: number[] = [];
  let inc: number | undefined;
  while (killedAt.length < (profile === "ci" ? 3 : 2)) {
    if (killedAt.length > 0)
      await scene.see(`another process in ${pod.name}`, LIMIT_MS, async () => (await processOf(scene, pod)) !== inc || undefined);
    inc = await processOf(scene, pod);
    await signalParts(pod, ["runtime"], "SIGKILL");
    killedAt.push(scene.fleet.now());
  }
  const isOver = await scene.see("the end of its session, or another process of it", LIMIT_MS, async () => {
    const { workers } = await scene.fleet.books();
    const mine = workers.find(({ _id }) => _id === sid);
    if (mine?.state === "dead" || mine?.state === "gone") return "ended";
    return mine?.inc === inc ? undefined : "adopted";
  });
  const limitMs = bounds.sessionEndMs(bots.length) + LIMIT_MS;
  const closedAt = isOver === "ended" ? await scene.takenOver(sid, bots, since, limitMs) : await scene.running(bots, limitMs);
  const [before = since, last = since] = killedAt.slice(-2);
  const deadMs = Math.max(0, last - before + bounds.timings.renewMs - bounds.timings.fenceMs);
  return { bots, closedAt, faults: [], boundMs: bounds.sessionEndMs(bots.length) + deadMs, also: { deadBeforeMs: deadMs } };
};

async function processOf(scene: ClusterScene, { name }: Pod): Promise<number | undefined> {
  return (await sessionsOf(scene)).get(name)?.inc;
}

/** Row 3. */
export const stopRuntimeBriefly: ClusterAct = async (scene, pod) => {
  const [bots, sessions] = await Promise.all([scene.botsOf(pod), sessionsOf(scene, (name) => name === pod.name)]);
  const begin = (): Promise<void> => signalParts(pod, ["runtime"], "SIGSTOP");
  return bear(scene, { bots, sessions }, { ms: scene.ms(BRIEF_MS), begin, end: () => resumeParts(pod) });
};

/** Rows 4 and 5: the fence kills, and where it stands still itself the kubelet's probe does. */
export const stopFor60 =
  (...parts: readonly ("runtime" | "fence")[]): ClusterAct =>
  async (scene, pod) => {
    const { bots, sid, since } = await scene.before(pod);
    const began = performance.now();
    const mend = (): Promise<void> => resumeParts(pod);
    await signalParts(pod, parts, "SIGSTOP");
    try {
      const closedAt = await scene.takenOver(sid, bots, since, scene.fleet.bounds.sessionEndMs(bots.length));
      await scene.pause(scene.isShort ? 1_000 : Math.max(1_000, LONG_MS - (performance.now() - began)));
      return { bots, closedAt, faults: [], mend };
    } catch (error) {
      await mend();
      throw error;
    }
  };

/** Row 15. */
export const hangDockerd: ClusterAct = async (scene, pod) => {
  const [bots, sessions] = await Promise.all([scene.botsOf(pod), sessionsOf(scene, (name) => name === pod.name)]);
  const begin = (): Promise<void> => signalParts(pod, ["dockerd"], "SIGSTOP");
  return bear(scene, { bots, sessions }, { ms: scene.isShort ? SHORT_HANG_MS : HANG_MS, begin, end: () => resumeParts(pod) });
};

/** Row 16. */
export const killDind: ClusterAct = async (scene, pod) => {
  const { bots, sid, since } = await scene.before(pod);
  await signalParts(pod, ["fence"], "SIGKILL");
  const closedAt = await scene.running(bots, scene.fleet.bounds.dockerBackMs(bots.length) + LIMIT_MS, since);
  return { bots, closedAt, faults: await scene.otherSession(pod, sid) };
};

/** Row 18. */
export const deletePod: ClusterAct = async (scene, pod) => {
  const { bots, sid, since } = await scene.before(pod);
  await scene.fleet.deletePod(pod);
  const closedAt = await scene.takenOver(sid, bots, since, scene.ms(LONG_MS));
  return { bots, closedAt, faults: [] };
};

/** Row 23: what the fence reads lies over the truth, for its container alone. */
export const fakeUptime =
  (kind: "reset" | "ahead"): ClusterAct =>
  async (scene, pod) => {
    const { bots, since } = await scene.before(pod);
    const [fence] = await pidsOf(pod, ["fence"]);
    const text = kind === "reset" ? "0.50 0.50" : `${(since / 1_000 + 3_600).toFixed(2)} 1.00`;
    await run("python3", [uptimeCover, String(fence), text, String(FAKE_MS / 1_000)]);
    const closedAt = await scene.running(bots, scene.fleet.bounds.sessionEndMs(bots.length) + LIMIT_MS, since);
    return { bots, closedAt, faults: [] };
  };
