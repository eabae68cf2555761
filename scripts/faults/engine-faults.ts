import type { Act } from "./fault-row.ts";

const HANG_MS = 30_000;
const SHORT_HANG_MS = 20_000;
const FAKE_MS = 2_000;

/** Row 15, as long as nothing waits for dockerd. */
export const hangDockerd: Act = async (scene, seat) => {
  const bots = await scene.botsOf(seat);
  const { _id: sid } = await scene.session(seat);
  const faults: string[] = [];
  if (!(await seat.engine.signalDaemon("SIGSTOP"))) faults.push("no dockerd to stop");
  try {
    await scene.pause(scene.isShort ? SHORT_HANG_MS : HANG_MS);
  } finally {
    await seat.engine.signalDaemon("SIGCONT");
  }
  faults.push(...(await scene.otherSession(seat, sid)));
  return { bots, closedAt: scene.fleet.now(), faults };
};

/** Row 16. */
export const killDocker: Act = async (scene, seat) => {
  const bots = await scene.botsOf(seat);
  const { _id: sid } = await scene.session(seat);
  const epochs = await epochsOf(scene.fleet.runs(), bots);
  const since = scene.fleet.now();
  seat.engine.kill();
  const closedAt = await scene.running(bots, scene.fleet.bounds.dockerBackMs(bots.length) + 60_000, since);
  const faults = await scene.otherSession(seat, sid);
  const after = await epochsOf(scene.fleet.runs(), bots);
  for (const bot of bots)
    if (after.get(bot) !== epochs.get(bot)) faults.push(`${bot}: epoch ${after.get(bot)}, expected ${epochs.get(bot)}`);
  return { bots, closedAt, faults };
};

/** Row 19: only the bot whose document changed is measured. */
export const loseCreate: Act = async (scene, seat) => {
  const [bot = ""] = await scene.botsOf(seat);
  const since = scene.fleet.now();
  seat.docker.loseReplies(1, /^POST \/containers\/create$/);
  const version = String(scene.random());
  await scene.fleet.db.collection<{ _id: string }>("bots").updateOne({ _id: bot }, { $set: { "env.VERSION": version } });
  const closedAt = await scene.running([bot], 90_000, since);
  return { bots: [bot], closedAt, faults: [] };
};

/** Row 23. */
export const fakeUptime =
  (kind: "reset" | "ahead"): Act =>
  async (scene, seat) => {
    const bots = await scene.botsOf(seat);
    const since = scene.fleet.now();
    await seat.engine.setUptime(kind === "reset" ? "0.50 0.50\n" : `${(since / 1_000 + 3_600).toFixed(2)} 1.00\n`);
    try {
      await scene.pause(FAKE_MS);
    } finally {
      await seat.engine.setUptime(undefined);
    }
    const closedAt = await scene.running(bots, scene.fleet.bounds.sessionEndMs(bots.length) + 60_000, since);
    return { bots, closedAt, faults: [] };
  };

export async function epochsOf(
  runs: Promise<readonly { bot: string; epoch: number; last: number }[]>,
  bots: readonly string[],
): Promise<Map<string, number>> {
  const sorted = (await runs).filter(({ bot }) => bots.includes(bot)).toSorted((a, b) => a.last - b.last);
  return new Map(sorted.map(({ bot, epoch }) => [bot, epoch]));
}
