import { sendSignal } from "../lib/send-signal.ts";
import type { FaultFleet } from "./fleet.ts";
import type { Seat } from "./seat.ts";

export type SoakDeps = {
  readonly fleet: FaultFleet;
  /** A whole number from `low` to `high`. */
  readonly between: (low: number, high: number) => number;
  readonly pause: (ms: number) => Promise<void>;
};

/** A fault that mends itself before it returns. */
export type SoakFault = (seat: Seat, deps: SoakDeps) => Promise<void>;

/** Those to one worker; two of them may happen at once, to two workers. */
export const seatFaults: Readonly<Record<string, SoakFault>> = {
  "runtime killed": async ({ runtime }) => runtime.signal("SIGKILL"),
  "runtime told to end": async ({ runtime }) => runtime.signal("SIGTERM"),
  "runtime stopped": async ({ runtime }, { between, pause }) => {
    runtime.signal("SIGSTOP");
    await pause(between(500, 30_000));
    runtime.signal("SIGCONT");
  },
  "pod lost": async (seat, { between, pause }) => {
    await seat.lose();
    await pause(between(0, 25_000));
    await seat.start();
  },
  "store cut": async ({ link }, { between, pause }) => {
    link.cut();
    await pause(between(500, 25_000));
    link.heal();
  },
  "store slow": async ({ link }, { between, pause }) => {
    link.delay(between(50, 500));
    await pause(between(1_000, 8_000));
    link.delay(0);
  },
  "replies of the store lost": async ({ link }, { between, pause }) => {
    for (const write of ["O1", "O2", "O5"] as const) link.loseReply(write);
    await pause(between(1_000, 5_000));
    link.disarm();
  },
  "dockerd stopped": async ({ engine }, { between, pause }) => {
    await engine.signalDaemon("SIGSTOP");
    await pause(between(500, 15_000));
    await engine.signalDaemon("SIGCONT");
  },
  "dockerd killed": async ({ engine }) => void (await engine.signalDaemon("SIGKILL")),
  "docker container killed": async ({ engine }) => engine.kill(),
  "Docker connections cut": async ({ docker }) => docker.cut(),
  "Docker replies lost": async ({ docker }, { between }) => docker.loseReplies(between(1, 4)),
  "clock of the fence reset": async ({ engine }, { pause }) => {
    await engine.setUptime("0.50 0.50\n");
    await pause(1_000);
    await engine.setUptime(undefined);
  },
};

/** Those to all. */
export const fleetFaults: Readonly<Record<string, SoakFault>> = {
  "leader killed": async (_, { fleet }) => (await fleet.leader())?.runtime.signal("SIGKILL"),
  "leader stopped": async (_, { fleet, between, pause }) => {
    const leader = await fleet.leader();
    leader?.runtime.signal("SIGSTOP");
    await pause(between(1_000, 15_000));
    leader?.runtime.signal("SIGCONT");
  },
  "MongoDB stopped": async (_, { fleet, between, pause }) => {
    sendSignal(fleet.mongo.pid, "SIGSTOP");
    await pause(between(500, 8_000));
    sendSignal(fleet.mongo.pid, "SIGCONT");
  },
  "documents changed": async (_, { fleet, between }) => {
    for (let n = between(1, 8); n > 0; n--) {
      const bot = fleet.bots[between(0, fleet.bots.length - 1)] ?? "";
      const change = fleet.disabled.delete(bot)
        ? { enabled: true }
        : between(0, 2) > 0
          ? { "env.VERSION": String(between(0, 1e9)) }
          : { enabled: false };
      if ("enabled" in change && !change.enabled) {
        fleet.disabled.add(bot);
        fleet.everDisabled.add(bot);
      }
      await fleet.db.collection<{ _id: string }>("bots").updateOne({ _id: bot }, { $set: change });
    }
  },
};
