// What the acts on a cluster have in common.
import type { Pod } from "../../lib/cluster/pods.ts";
import type { Act, FaultRow, Played } from "../fault-row.ts";
import type { Scene } from "../scene.ts";
import type { ClusterStage } from "./stage.ts";

export type ClusterScene = Scene<ClusterStage>;
export type ClusterAct = Act<ClusterStage, Pod>;
export type ClusterRow = FaultRow<ClusterStage, Pod>;

/** How long anything may take that the row's bound says nothing of. */
export const LIMIT_MS = 120_000;

/** Sessions that live, by the name of their pod. */
export type Sessions = ReadonlyMap<string, { readonly sid: string; readonly hbSeq: number; readonly inc: number }>;

export async function sessionsOf({ fleet }: ClusterScene, isMeant: (pod: string, node: string) => boolean = () => true): Promise<Sessions> {
  const { workers } = await fleet.books();
  const living = workers.filter(({ state, pod, node }) => (state === "up" || state === "draining") && isMeant(pod, node));
  return new Map(living.map(({ _id, pod, hbSeq, inc }) => [pod, { sid: _id, hbSeq, inc }]));
}

/** All that lives on a node, before something happens to it. */
export async function beforeNode(
  scene: ClusterScene,
  node: string,
): Promise<{ sessions: Sessions; sids: readonly string[]; bots: readonly string[]; since: number }> {
  const [sessions, bySeat] = await Promise.all([sessionsOf(scene, (_, at) => at === node), scene.fleet.botsBySeat()]);
  const bots = [...sessions.keys()].flatMap((pod) => bySeat.get(pod) ?? []);
  return { sessions, sids: [...sessions.values()].map(({ sid }) => sid), bots, since: scene.fleet.now() };
}

/** Waits until each of these sessions has renewed again, or is another one. Returns what is wrong with those that are. */
async function goneOn(scene: ClusterScene, before: Sessions, limitMs = LIMIT_MS): Promise<string[]> {
  // Those that were under way when the fault began may still be counted.
  const spare = 2;
  const after = await scene.see("signs of life of the sessions", limitMs, async () => {
    const now = await sessionsOf(scene, (pod) => before.has(pod)).catch(() => undefined);
    if (now === undefined) return undefined;
    const isBack = [...before].every(([pod, { sid, hbSeq }]) => {
      const found = now.get(pod);
      return found !== undefined && (found.sid !== sid || found.hbSeq > hbSeq + spare);
    });
    return isBack ? now : undefined;
  });
  return [...before].flatMap(([pod, { sid }]) => (after.get(pod)?.sid === sid ? [] : [`${pod} has another session, expected the same`]));
}

/** What must not stop anybody: it lasts for so long, is taken back, and the sessions must have lived through it. */
export async function bear(
  scene: ClusterScene,
  { bots, sessions }: { readonly bots: readonly string[]; readonly sessions: Sessions },
  { ms, begin, end }: { readonly ms: number; readonly begin: () => Promise<unknown>; readonly end: () => Promise<unknown> },
): Promise<Played> {
  try {
    await begin();
    await scene.pause(ms);
  } finally {
    await end();
  }
  const faults = await goneOn(scene, sessions);
  return { bots, closedAt: scene.fleet.now(), faults };
}
