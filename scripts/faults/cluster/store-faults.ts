// What happens to both stores, or to one, for everybody.
import { sendSignal } from "../../lib/send-signal.ts";
import { bear, type ClusterAct, type ClusterScene, LIMIT_MS, sessionsOf } from "./act.ts";

/** Source: ownership.md, an election of MongoDB takes 10 to 12 s. */
const ELECTION_MS = 12_000;
const AWAY_MS = 20_000;
/** Once in a full run: longer than a node may be silent, an API server remembers events, or a pod waits for its end. */
const LONG_AWAY_MS = 600_000;

const awayMs = (scene: ClusterScene): number => (!scene.isShort && scene.round === 0 ? LONG_AWAY_MS : scene.ms(AWAY_MS));

type Outage = { readonly begin: () => Promise<unknown>; readonly end: () => Promise<unknown> };

/** Connections stay open, and nothing comes through them. */
const mongoAway = ({ fleet }: ClusterScene): Outage => ({
  begin: async () => sendSignal(fleet.fleet.mongo.pid, "SIGSTOP"),
  end: async () => sendSignal(fleet.fleet.mongo.pid, "SIGCONT"),
});

/** Every second time it hangs instead of being down. */
const apiAway = (scene: ClusterScene): Outage => {
  const { cluster } = scene.fleet;
  const isBack = (): Promise<true> =>
    scene.see("the API server ready again", LIMIT_MS, async () => (await scene.fleet.isApiReady()) || undefined);
  return scene.round % 2 === 0
    ? { begin: () => cluster.stop("hub", "kube-apiserver"), end: () => cluster.start("hub", "kube-apiserver").then(isBack) }
    : {
        begin: () => cluster.signal("hub", "kube-apiserver", "STOP"),
        end: () => cluster.signal("hub", "kube-apiserver", "CONT").then(isBack),
      };
};

const both = (...outages: readonly Outage[]): Outage => ({
  begin: () => Promise.all(outages.map(({ begin }) => begin())),
  end: () => Promise.all(outages.map(({ end }) => end())),
});

const outage =
  (ms: (scene: ClusterScene) => number, of: (scene: ClusterScene) => Outage): ClusterAct =>
  async (scene) => {
    const sessions = await sessionsOf(scene);
    return bear(scene, { bots: scene.fleet.bots, sessions }, { ms: ms(scene), ...of(scene) });
  };

/** Row 9. */
export const mongoElection = outage((scene) => scene.ms(ELECTION_MS), mongoAway);
/** Row 10. */
export const mongoDown = outage(awayMs, mongoAway);
/** Row 11. */
export const apiDown = outage(awayMs, apiAway);

/** Rows 10 and 11 at once: nobody is left to say that anybody else may start, and nobody can say that nobody did. */
export const bothDown: ClusterAct = async (scene) => {
  const { fleet } = scene;
  const { bots, bounds } = fleet;
  const sessions = await sessionsOf(scene);
  const { begin, end } = both(mongoAway(scene), apiAway(scene));
  const since = fleet.now();
  const ms = awayMs(scene);
  try {
    await begin();
    await scene.pause(ms);
  } finally {
    await end();
  }
  const outageMs = fleet.now() - since;
  const closedAt = await scene.running(bots, LIMIT_MS, since);
  const after = await sessionsOf(scene);
  const others = [...sessions].filter(([pod, { sid }]) => after.get(pod)?.sid !== sid);
  // Without a leader no session has ended.
  const faults = others.map(([pod]) => `${pod} has another session, expected the same`);
  // They stop no earlier than R after the last renewal, which leaves what it takes to reach the stores again.
  return { bots, closedAt, faults, boundMs: outageMs + bounds.dockerBackMs(Math.ceil(bots.length / 2)), also: { outageMs } };
};
