// What is done, and its reply is lost.
import { type ClusterAct, type ClusterScene, LIMIT_MS } from "./act.ts";
import { relayEngine } from "./engine-relay.ts";
import { deletePod } from "./worker-faults.ts";

const CREATE = /^POST \/containers\/create$/;

/** Row 19: only the bot whose document changed is measured. */
export const loseCreate: ClusterAct = async (scene, pod) => {
  const { fleet } = scene;
  const [[bot = ""], { _id: sid }] = await Promise.all([scene.botsOf(pod), scene.session(pod)]);
  const relay = await relayEngine(pod);
  try {
    const since = fleet.now();
    relay.loseReplies(1, CREATE);
    await fleet.release.bots.updateOne({ _id: bot }, { $set: { "env.VERSION": String(scene.random()) } });
    const closedAt = await scene.running([bot], LIMIT_MS, since);
    const faults = await scene.otherSession(pod, sid);
    if (!relay.counts.has("POST /containers/create")) faults.push("no container was created whose reply could be lost");
    return { bots: [bot], closedAt, faults };
  } finally {
    await relay.stop();
  }
};

/** Row 20, O1. */
export const loseRenewal: ClusterAct = async (scene, pod) => {
  const { store } = scene.fleet;
  const bots = await scene.botsOf(pod);
  const { _id: sid, hbSeq } = await scene.session(pod);
  await store.ask("lose", `O1 ${sid}`);
  await scene.see("a lost renewal", LIMIT_MS, async () => (await store.ask("isLost")) || undefined);
  await scene.see("the next renewal", LIMIT_MS, async () => (await scene.session(pod)).hbSeq > hbSeq + 2 || undefined);
  const faults = await scene.otherSession(pod, sid);
  return { bots, closedAt: scene.fleet.now(), faults, boundMs: 0 };
};

/** Row 20: O2, by which the leader assigns what a draining worker has released, and O5, by which that one releases it. */
export const loseInDrain =
  (write: "O2" | "O5"): ClusterAct =>
  async (scene, pod) => {
    await scene.fleet.store.ask("lose", write);
    const played = await deletePod(scene, pod);
    return { ...played, faults: [...played.faults, ...(await unlost(scene, write))] };
  };

async function unlost({ fleet: { store } }: ClusterScene, write: string): Promise<string[]> {
  const isLost = await store.ask("isLost");
  await store.ask("disarm");
  return isLost ? [] : [`no ${write} was made whose reply could be lost`];
}
