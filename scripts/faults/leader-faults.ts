import type { Act } from "./fault-row.ts";
import type { Scene } from "./scene.ts";
import type { Seat } from "./seat.ts";

const LONG_MS = 60_000;
const LIMIT_MS = 90_000;

/** Row 12: until another term begins. */
export const killLeader: Act = async (scene, seat) => {
  const term = await termOf(scene);
  const began = performance.now();
  seat.runtime.signal("SIGKILL");
  await nextTerm(scene, term);
  const controlGapMs = performance.now() - began;
  const limit = scene.fleet.bounds.controlGapMs;
  const faults = controlGapMs > limit ? [`control gap ${Math.round(controlGapMs)} ms, expected at most ${limit}`] : [];
  return { bots: scene.fleet.bots, closedAt: scene.fleet.now(), faults, also: { controlGapMs } };
};

/** Row 12, clean: from the moment that the lease is nobody's. */
export const releaseLeader: Act = async (scene, seat) => {
  const term = await termOf(scene);
  seat.runtime.signal("SIGTERM");
  // Another one may hold it before we look.
  await scene.see("the lease given up", LIMIT_MS, async () => {
    const [{ leader }, now] = await Promise.all([scene.fleet.books(), termOf(scene)]);
    return leader === null || now > term || undefined;
  });
  const began = performance.now();
  await nextTerm(scene, term);
  const cleanGapMs = performance.now() - began;
  const limit = scene.fleet.bounds.cleanGapMs;
  const faults = cleanGapMs > limit ? [`clean control gap ${Math.round(cleanGapMs)} ms, expected at most ${limit}`] : [];
  return { bots: scene.fleet.bots, closedAt: scene.fleet.now(), faults, also: { cleanGapMs } };
};

/** Row 13. */
export const killLeaderAndWorker: Act = async (scene, leader) => {
  const bySeat = await scene.fleet.botsBySeat();
  const worker = scene.fleet.seats.filter((s) => s !== leader).toSorted((a, b) => count(bySeat, b) - count(bySeat, a))[0] as Seat;
  const { bots, sid, since } = await scene.before(worker);
  leader.runtime.hold();
  leader.runtime.signal("SIGKILL");
  await worker.lose();
  const mend = async (): Promise<void> => {
    await Promise.all([leader.runtime.start(), worker.start()]);
  };
  try {
    const closedAt = await scene.takenOver(sid, bots, since, scene.fleet.bounds.sessionEndMs(bots.length));
    return { bots, closedAt, faults: [], mend };
  } catch (error) {
    await mend();
    throw error;
  }
};

/** Row 14. */
export const stopLeader: Act = async (scene, seat) => {
  const term = await termOf(scene);
  // A leader that came to lead while it had bots keeps them: to these it is a worker that was stopped for 60 s (row 4).
  const { bots: own, sid } = await scene.before(seat);
  const began = performance.now();
  const lives = seat.ends.length;
  seat.runtime.signal("SIGSTOP");
  try {
    await nextTerm(scene, term);
    const limitMs = scene.fleet.bounds.timings.endMs + 30_000;
    await scene.see(`the end of session ${sid}`, limitMs, async () => {
      const { workers } = await scene.fleet.books();
      return workers.some(({ _id, state }) => _id === sid && state === "dead") || undefined;
    });
    await scene.pause(scene.isShort ? 1_000 : Math.max(1_000, LONG_MS - (performance.now() - began)));
  } finally {
    seat.runtime.signal("SIGCONT");
  }
  // What it still has in hand goes out before it ends. Its next session may be given segments: that is no part of this.
  await scene.see(`the end of ${seat.name}`, LIMIT_MS, async () => seat.ends.length > lives || undefined);
  const bots = scene.fleet.bots.filter((bot) => !own.includes(bot));
  const apart = { what: "ownBotsUnrunMs", bots: own, boundMs: scene.fleet.bounds.sessionEndMs(own.length) };
  return { bots, closedAt: scene.fleet.now(), faults: [], apart };
};

const count = (bySeat: ReadonlyMap<string, readonly string[]>, { name }: Seat): number => bySeat.get(name)?.length ?? 0;

async function termOf({ fleet }: Scene): Promise<number> {
  return (await fleet.db.collection<{ _id: string; term: number }>("runtime.control").findOne({ _id: "leader" }))?.term ?? 0;
}

function nextTerm(scene: Scene, term: number): Promise<true> {
  return scene.see("another leader's term", LIMIT_MS, async () => (await termOf(scene)) > term || undefined);
}
