import type { Act } from "./fault-row.ts";
import type { Scene } from "./scene.ts";
import type { Seat } from "./seat.ts";

const KILLED_BACK_MS = 2_000;
const BRIEF_MS = 3_000;
const LONG_MS = 60_000;

/** Row 1. */
export const killWorker: Act = async (scene, seat) => {
  const bots = await scene.botsOf(seat);
  const { inc, _id } = await scene.session(seat);
  seat.runtime.hold();
  seat.runtime.signal("SIGKILL");
  await seat.runtime.ended();
  await scene.pause(KILLED_BACK_MS);
  await seat.runtime.start();
  const faults = await sameSession(scene, seat, _id, (record) => record.inc > inc);
  return { bots, closedAt: scene.fleet.now(), faults };
};

/** Row 2. */
export const loseWorker: Act = async (scene, seat) => {
  const { bots, sid, since } = await scene.before(seat);
  await seat.lose();
  const closedAt = await scene.takenOver(sid, bots, since, scene.fleet.bounds.sessionEndMs(bots.length));
  return { bots, closedAt, faults: [], mend: () => seat.start() };
};

/** Row 3. */
export const stopWorkerBriefly: Act = async (scene, seat) => {
  const bots = await scene.botsOf(seat);
  const { _id, hbSeq } = await scene.session(seat);
  seat.runtime.signal("SIGSTOP");
  await scene.pause(scene.ms(BRIEF_MS));
  seat.runtime.signal("SIGCONT");
  const faults = await sameSession(scene, seat, _id, (record) => record.hbSeq > hbSeq + 2);
  return { bots, closedAt: scene.fleet.now(), faults };
};

/** Row 4. */
export const stopWorker: Act = async (scene, seat) => {
  const { bots, sid, since } = await scene.before(seat);
  const began = performance.now();
  seat.runtime.signal("SIGSTOP");
  const wake = (): void => seat.runtime.signal("SIGCONT");
  try {
    const closedAt = await scene.takenOver(sid, bots, since, scene.fleet.bounds.sessionEndMs(bots.length));
    await scene.pause(scene.isShort ? 1_000 : Math.max(1_000, LONG_MS - (performance.now() - began)));
    return { bots, closedAt, faults: [], mend: async () => wake() };
  } catch (error) {
    wake();
    throw error;
  }
};

/** Row 8. */
export const cutStore: Act = async (scene, seat) => {
  const { bots, sid, since } = await scene.before(seat);
  seat.link.cut();
  try {
    const closedAt = await scene.takenOver(sid, bots, since, scene.fleet.bounds.sessionEndMs(bots.length));
    return { bots, closedAt, faults: [], mend: async () => seat.link.heal() };
  } catch (error) {
    seat.link.heal();
    throw error;
  }
};

/** Row 18. The next process of this worker is a new session, as a new pod is. */
export const drain: Act = async (scene, seat) => {
  const { bots, sid, since } = await scene.before(seat);
  seat.runtime.hold();
  seat.runtime.signal("SIGTERM");
  const closedAt = await scene.takenOver(sid, bots, since, scene.ms(60_000));
  const how = await seat.runtime.ended();
  return {
    bots,
    closedAt,
    faults: how === 0 ? [] : [`${seat.name} ended with ${how} after SIGTERM, expected 0`],
    mend: () => seat.runtime.start(),
  };
};

/** Waits for a sign of life of the session. Returns what is wrong with it. */
async function sameSession(
  scene: Scene,
  seat: Seat,
  sid: string,
  isBack: (record: { inc: number; hbSeq: number }) => boolean,
): Promise<string[]> {
  await scene.see(`${seat.name} back`, 60_000, async () => {
    const record = await scene.session(seat);
    return record._id !== sid || isBack(record) || undefined;
  });
  return scene.otherSession(seat, sid);
}
