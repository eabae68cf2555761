import { containerName } from "../../src/core/ids.ts";
import type { RunRecord, StatusRecord } from "../../src/core/records.ts";
import { createEngine } from "../../src/docker/engine.ts";
import { bot } from "./builders.ts";
import { eventually } from "./eventually.ts";
import { type Box, FakeDaemon } from "./fake-daemon.ts";
import { Fleet } from "./fleet.ts";
import { runClock } from "./run-clock.ts";

export const CREATE = /POST \/containers\/create/;
export const START = /POST .*\/start$/;

/** A worker on a daemon with faults; its time runs a hundred times as fast as ours. */
export async function fakeWorld() {
  const daemon = await FakeDaemon.start();
  const fleet = new Fleet((clock) => createEngine({ dockerHost: daemon.host, stateDir: daemon.stateDir, clock, random: () => 0 }));
  const running = runClock(fleet.clock, 250);
  const status = (id: string) => fleet.store.get<StatusRecord>("status", id);
  const box = (id: string): Box => {
    const found = daemon.named(containerName(bot(id)));
    if (found === undefined) throw new Error(`expected a container of bot "${id}"`);
    return found;
  };
  const until = (what: string, test: () => boolean) =>
    eventually(
      what,
      async () => test(),
      30_000,
      async () => JSON.stringify([status("a"), daemon.asked.slice(-8)]),
    );
  return {
    daemon,
    fleet,
    status,
    box,
    until,
    count: (of: RegExp) => daemon.asked.filter((request) => of.test(request)).length,
    runs: () => [...fleet.store.runs.values()] as RunRecord[],
    untilRuns: (id: string) => until(`"${id}" runs`, () => status(id)?.state === "running" && box(id).state === "running"),
    /** Lets the worker's time pass. */
    async pass(ms: number) {
      const end = fleet.clock.mono() + ms;
      await until(`${ms} ms have passed`, () => fleet.clock.mono() >= end);
    },
    async [Symbol.asyncDispose]() {
      await running[Symbol.asyncDispose]();
      daemon.thaw();
      fleet.engine.close();
      await fleet.end();
      await daemon[Symbol.asyncDispose]();
    },
  };
}
