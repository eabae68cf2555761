import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import type { Db, Document } from "mongodb";

import type { Act } from "./fault-row.ts";
import { CALM_LOOK_MS, type Scene } from "./scene.ts";
import { startForeigner } from "./seat.ts";
import type { Named, Stage } from "./stage.ts";

/** EX_CONFIG: the database is another fleet's. Source: design.md section 2. */
const REFUSED = 78;
const LIMIT_MS = 60_000;

/** Row 21. */
export const secondFleet: Act = async (scene) => {
  const { runDir } = scene.fleet.options;
  const dir = join(runDir, `foreigner-${scene.round}`);
  await mkdir(join(dir, "fence"), { recursive: true });
  const code = await startForeigner({
    runDir,
    dir,
    mongoUri: scene.fleet.mongo.uri,
    dbName: scene.fleet.db.databaseName,
    limitMs: LIMIT_MS,
  });
  const { workers } = await scene.fleet.books();
  const faults = code === REFUSED ? [] : [`the second fleet ended with ${code}, expected ${REFUSED}`];
  const names = new Set(scene.fleet.seats.map(({ name }) => name));
  for (const { pod } of workers) if (!names.has(pod)) faults.push(`session of "${pod}", expected none`);
  return { bots: scene.fleet.bots, closedAt: scene.fleet.now(), faults };
};

/** A fleet with books to lose. */
type BookStage = Stage & { readonly db: Db };
type BookAct = Act<BookStage, Named>;
type BookScene = Scene<BookStage>;

/** Row 22, dropped. */
export const dropBooks: BookAct = async (scene) => {
  const since = scene.fleet.now();
  await drop(scene);
  return freshStart(scene, since);
};

/** Row 22, restored: a copy from before the fleet moved on. */
export const restoreBooks: BookAct = async (scene) => {
  const copy = await read(scene);
  // Renewals go on, so that the counters in the copy are old.
  await scene.pause(scene.ms(3_000));
  const since = scene.fleet.now();
  await drop(scene);
  for (const [name, documents] of copy) {
    if (documents.length > 0)
      await scene.fleet.db
        .collection(name)
        .insertMany(documents, { ordered: false })
        .catch(() => undefined); // the fleet may have been faster with some of them
  }
  return freshStart(scene, since);
};

async function freshStart(scene: BookScene, since: number): ReturnType<BookAct> {
  const { bots, bounds } = scene.fleet;
  const limitMs = bounds.sessionEndMs(bots.length) + LIMIT_MS;
  const look = async () => {
    const { workers, segments } = await scene.fleet.books();
    const up = new Set(workers.filter(({ state }) => state === "up").map(({ _id }) => _id));
    return (segments.length > 0 && segments.every(({ owner }) => owner !== null && up.has(owner))) || undefined;
  };
  await scene.see("each segment in living hands", limitMs, look, CALM_LOOK_MS);
  const closedAt = await scene.running(bots, limitMs, since);
  return { bots, closedAt, faults: [] };
}

async function names(scene: BookScene): Promise<string[]> {
  const all = await scene.fleet.db.listCollections({}, { nameOnly: true }).toArray();
  return all.map(({ name }) => name).filter((name) => name.startsWith("runtime."));
}

async function read(scene: BookScene): Promise<[string, Document[]][]> {
  const found: [string, Document[]][] = [];
  for (const name of await names(scene)) found.push([name, await scene.fleet.db.collection(name).find().toArray()]);
  return found;
}

async function drop(scene: BookScene): Promise<void> {
  await Promise.all((await names(scene)).map((name) => scene.fleet.db.collection(name).drop()));
}
