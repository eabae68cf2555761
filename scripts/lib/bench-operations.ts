import type { MongoClient } from "mongodb";

export type Counters = Readonly<Record<string, number>>;

/** What the server has counted since it began; MongoDB and the tests' server both do. */
export async function countersOf(client: MongoClient): Promise<Counters> {
  const { opcounters } = (await client.db("admin").command({ serverStatus: 1 })) as unknown as { opcounters: Counters };
  return opcounters;
}

/** All operations but the getMore of cursors and change streams. */
export const operationsIn = (counters: Counters): number =>
  ["insert", "query", "update", "delete", "command"].reduce((all, name) => all + (counters[name] ?? 0), 0);
