import { readFile } from "node:fs/promises";

import type { Db } from "mongodb";
import { parseAllDocuments } from "yaml";

import type { StatusRecord } from "../../src/core/records.ts";
import { renderTable } from "../../src/cli/table.ts";
import { connectDocker } from "./find-docker.ts";

/** What the demo should come to. `message` is a part of it. */
export interface Expected {
  readonly bots: Readonly<Record<string, { state: string; minRestarts?: number; exit?: number; message?: string }>>;
  readonly runningContainers: number;
}

/** The fleet as the store and the engine tell it. */
export interface Seen {
  readonly statuses: readonly StatusRecord[];
  /** Names of bots, from the engine's own list of running containers. */
  readonly running: readonly string[];
}

/** Writes the examples as a user would: straight into the collection, the faulty one as well. */
export async function loadExamples(db: Db, collection: string, path: string): Promise<number> {
  const documents = parseAllDocuments(await readFile(path, "utf8")).map((d) => d.toJS() as { _id: string });
  await db.collection<{ _id: string }>(collection).insertMany(documents);
  return documents.length;
}

export async function look(db: Db, dockerHost: string): Promise<Seen> {
  const filters = { label: ["botrunner.managed=1"], status: ["running"] };
  const [statuses, containers] = await Promise.all([
    db
      .collection<StatusRecord & { _id: string }>("runtime.status")
      .find({}, { sort: { _id: 1 } })
      .toArray(),
    connectDocker(dockerHost).listContainers({ filters }),
  ]);
  return { statuses, running: containers.map((c) => c.Labels["botrunner.bot"] ?? "").toSorted() };
}

/** One line per difference; empty when the fleet is as expected. */
export function compareFleet({ bots, runningContainers }: Expected, { statuses, running }: Seen): string[] {
  const found = new Map(statuses.map((s) => [nameOf(s), s]));
  const lines = Object.entries(bots).flatMap(([bot, want]) => {
    const status = found.get(bot);
    if (status === undefined) return [`${bot}: expected ${want.state}, found no status`];
    const faults = [];
    if (status.state !== want.state) faults.push(`expected state ${want.state}, found ${status.state}`);
    if (want.minRestarts !== undefined && status.restarts < want.minRestarts)
      faults.push(`expected at least ${want.minRestarts} restarts, found ${status.restarts}`);
    if (want.exit !== undefined && status.lastExit?.code !== want.exit)
      faults.push(`expected exit ${want.exit}, found ${status.lastExit?.code ?? "none"}`);
    if (want.message !== undefined && !status.message.includes(want.message))
      faults.push(`expected a message with "${want.message}", found "${status.message}"`);
    if (want.state === "running" && !running.includes(bot)) faults.push("expected its container in the engine's list, found none");
    return faults.map((fault) => `${bot}: ${fault}`);
  });
  for (const bot of found.keys()) if (!(bot in bots)) lines.push(`${bot}: expected nothing, found a status`);
  // The crasher may be up for a moment; nothing else beyond the expected may run.
  const surplus = running.filter((bot) => bots[bot]?.state !== "running" && bots[bot]?.state !== "backoff");
  const steady = running.filter((bot) => bots[bot]?.state === "running");
  for (const bot of surplus) lines.push(`${bot}: expected no container, found one running`);
  if (steady.length !== runningContainers) lines.push(`engine: expected ${runningContainers} running containers, found ${steady.length}`);
  return lines;
}

export function fleetTable({ statuses, running }: Seen, width: number | undefined): string {
  const rows = statuses.map((s) => [
    nameOf(s),
    s.state,
    running.includes(nameOf(s)) ? "up" : "-",
    String(s.restarts),
    s.lastExit === null ? "-" : String(s.lastExit.code),
    s.message,
  ]);
  return renderTable(["BOT", "STATE", "CONTAINER", "RESTARTS", "LAST EXIT", "MESSAGE"], rows, width);
}

const nameOf = ({ _id }: StatusRecord): string => (typeof _id === "string" ? _id : _id.document);
