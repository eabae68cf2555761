// Row 15 where something waits for a dockerd that hangs for good: it is restarted, with all that it holds.
import { readFile } from "node:fs/promises";

import { segmentOf } from "../../src/core/segment.ts";
import { epochsOf, hangDockerd } from "./engine-faults.ts";
import type { Act, Played } from "./fault-row.ts";
import type { Scene } from "./scene.ts";
import type { Seat } from "./seat.ts";

/** How long no ping is answered before dockerd is restarted, and what it may take until that is known. Source: core/engine-restart.ts */
const SILENT_MS = 120_000;
const PINGS_MS = 10_000;
const LIMIT_MS = SILENT_MS + 90_000;

/** The gate has no time for the two minutes. */
const orShort =
  (act: Act): Act =>
  (scene, seat) =>
    scene.isShort ? hangDockerd(scene, seat) : act(scene, seat);

/** A bot is new in a segment of the seat, which nobody but its owner may start. */
export const hangBeforeStart: Act = orShort(async (scene, seat) => {
  const { fleet } = scene;
  const [neighbours, { _id: sid }] = await Promise.all([scene.botsOf(seat), scene.session(seat)]);
  const epochs = await epochsOf(fleet.runs(), neighbours);
  const bot = await newBotAt(scene, sid);
  const bots = fleet.db.collection<{ _id: string }>("bots");
  const mend = async (): Promise<void> => void (await bots.deleteOne({ _id: bot }));
  return hanging(
    seat,
    mend,
    async (since) => {
      await bots.insertOne(fleet.document(bot));
      const closedAt = await scene.running([bot, ...neighbours], LIMIT_MS, since);
      const faults = [...(await scene.otherSession(seat, sid)), ...(await evidence(seat, bot))];
      const after = await epochsOf(fleet.runs(), neighbours);
      for (const one of neighbours)
        if (after.get(one) !== epochs.get(one)) faults.push(`${one}: epoch ${after.get(one)}, expected ${epochs.get(one)}`);
      const backMs = fleet.bounds.dockerBackMs(neighbours.length + 1);
      const apart = { what: "neighboursUnrunMs", bots: neighbours, boundMs: backMs };
      return { bots: [bot], boundMs: SILENT_MS + PINGS_MS + backMs, closedAt, faults, apart, mend };
    },
    scene,
  );
});

/** The seat's worker is to drain, and cannot prove that its bots have stopped. They run until dockerd is restarted. */
export const hangBeforeMove: Act = orShort(async (scene, seat) => {
  const { fleet } = scene;
  const { bots: own, sid } = await scene.before(seat);
  const workers = fleet.db.collection<{ _id: string }>("runtime.workers");
  const mend = async (): Promise<void> => {
    seat.runtime.hold();
    seat.runtime.signal("SIGTERM");
    await seat.runtime.ended();
    await seat.runtime.start();
  };
  return hanging(
    seat,
    mend,
    async (since) => {
      await workers.updateOne({ _id: sid }, { $set: { drain: true } });
      const closedAt = await scene.running(own, LIMIT_MS, since);
      const faults = [...(await scene.otherSession(seat, sid)), ...(await evidence(seat, "stop"))];
      const boundMs = fleet.bounds.dockerBackMs(own.length) + fleet.bounds.handOverMs(0, own.length);
      return { bots: [], closedAt, faults, apart: { what: "movedUnrunMs", bots: own, boundMs }, mend };
    },
    scene,
  );
});

/** Plays while dockerd hangs, from before anything is asked of it. */
async function hanging(seat: Seat, mend: () => Promise<void>, play: (since: number) => Promise<Played>, { fleet }: Scene): Promise<Played> {
  if (!(await seat.engine.signalDaemon("SIGSTOP"))) throw new Error(`Cannot stop dockerd of ${seat.name}: there is none`);
  try {
    return await play(fleet.now());
  } catch (error) {
    await seat.engine.signalDaemon("SIGCONT");
    await mend();
    throw error;
  }
}

/** A name of a new bot that hashes into a segment of that session. */
async function newBotAt({ fleet, random }: Scene, sid: string): Promise<string> {
  const { segments } = await fleet.books();
  const own = new Set(segments.flatMap(({ _id, owner }) => (owner === sid ? [_id] : [])));
  for (;;) {
    const bot = `late-${Math.floor(random() * 1e9)}`;
    if (own.has(segmentOf(bot as Parameters<typeof segmentOf>[0], fleet.options.maxSegment))) return bot;
  }
}

/** What the log lacks of the reason for the restart. */
async function evidence({ name, runtime }: Seat, what: string): Promise<string[]> {
  const lines = (await readFile(runtime.logPath, "utf8")).split("\n");
  const told = lines.some((line) => line.includes("Restarting the Docker Engine") && line.includes(`"${what}"`));
  return told ? [] : [`${name} has not told why it restarted dockerd ("${what}")`];
}
