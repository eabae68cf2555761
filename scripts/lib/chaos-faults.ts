import { connectDocker } from "./find-docker.ts";
import type { ChaosFleet } from "./chaos-fleet.ts";
import type { ChaosWorld } from "./chaos-world.ts";
import type { RegistryOrder } from "./registry-server.ts";

/** How long a fault of the registry waits to be met, in ms. */
const MEET_MS = 15_000;

export type ChaosScene = {
  readonly world: ChaosWorld;
  readonly fleet: ChaosFleet;
  /** Gives [0, 1). */
  readonly random: () => number;
  readonly pause: (ms: number) => Promise<void>;
  readonly say: (line: string) => void;
  /** Counts what the table is to show beside the faults. */
  readonly count: (what: string) => void;
};

/** All faults by name. Each mends itself before it returns. */
export function chaosFaults({ world, fleet, random, pause, say, count }: ChaosScene): Readonly<Record<string, () => Promise<void>>> {
  const between = (low: number, high: number): number => Math.round(low + random() * (high - low));

  /** The server fails so many of the runtime's commands, and nobody else's, and is well again after a moment: one that still
   *  refuses during the calm would be judged as the runtime's fault. */
  const failMongo = async (failCommands: readonly string[], fault: Readonly<Record<string, unknown>>): Promise<void> => {
    const data = { appName: "bot-runner", failCommands, ...fault };
    const order = (mode: unknown) => world.withDb((db) => db.admin().command({ configureFailPoint: "failCommand", mode, data }));
    await order({ times: between(1, 20) });
    await pause(between(500, 4_000));
    await order("off");
  };

  /** New images are wanted while the registry answers like this. */
  const whilePulling = async (order: Pick<RegistryOrder, "mode" | "basic">): Promise<void> => {
    const { registry } = world;
    await registry.order(order);
    await world.withDb((db) => fleet.pull(db));
    // The runtime may be busy with what happened before, or leave the registry alone for a while: then nobody met this fault.
    const until = performance.now() + MEET_MS;
    while ((await registry.requests()) === 0 && performance.now() < until) await pause(200);
    await pause(between(500, 4_000));
    const met = await registry.requests();
    if (met === 0) count("registry not asked");
    say(`  it answered ${met} requests`);
    await registry.order({ mode: "serve" });
  };

  const someContainer = async (
    act: (container: ReturnType<ReturnType<typeof connectDocker>["getContainer"]>) => Promise<unknown>,
  ): Promise<void> => {
    const docker = connectDocker(world.dockerHost);
    const all = await docker.listContainers({ filters: { label: ["botrunner.managed=1"] } });
    const one = all[Math.floor(random() * all.length)];
    if (one !== undefined) await act(docker.getContainer(one.Id)).catch(() => {}); // the runtime may have been faster
  };

  return {
    "runtime killed": async () => {
      await world.signalRuntime("SIGKILL");
      await pause(between(0, 2_000));
      await world.startRuntime();
    },
    "runtime stopped": async () => {
      await world.signalRuntime("SIGSTOP");
      await pause(between(500, 4_000));
      await world.signalRuntime("SIGCONT");
    },
    "runtime drained": async () => {
      await world.signalRuntime("SIGTERM");
      await world.startRuntime();
    },
    "dockerd stopped": async () => {
      await world.signalDocker("SIGSTOP");
      await pause(between(500, 8_000));
      await world.signalDocker("SIGCONT");
    },
    "dockerd killed": () => world.restartDocker(),
    "MongoDB stopped": async () => {
      world.signalMongo("SIGSTOP");
      await pause(between(500, 12_000));
      world.signalMongo("SIGCONT");
    },
    "MongoDB killed": async () => {
      await world.killMongo();
      await pause(between(0, 3_000));
      await world.startMongo();
    },
    "MongoDB connections dropped": () => failMongo(["find", "update", "insert", "getMore", "aggregate"], { closeConnection: true }),
    // 91: it is shutting down, as in an election. 286: the stream's history is lost; no other cursor of ours is so long that it
    // asks for more.
    "MongoDB refused": () => failMongo(["find", "update", "insert"], { errorCode: 91, errorLabels: ["RetryableWriteError"] }),
    "change streams lost": () => failMongo(["getMore"], { errorCode: 286 }),
    "Docker connections dropped": async () => world.cutDocker(),
    "Docker replies lost": async () => world.loseDockerReplies(between(1, 6)),
    "registry refuses: 401": async () => {
      await whilePulling({ mode: "serve", basic: "nobody:knows" });
      await world.withDb((db) => fleet.amend(db)); // a refusal stays until the document changes
    },
    "registry limits: 429": () => whilePulling({ mode: "limited" }),
    "registry stalls": () => whilePulling({ mode: "stall" }),
    // The engine says so inside a stream that began as a success.
    "registry garbles": () => whilePulling({ mode: "broken-blob" }),
    "container killed": () => someContainer(async (c) => c.kill()),
    "container removed": () => someContainer(async (c) => c.remove({ force: true })),
    "documents changed": () => world.withDb((db) => fleet.storm(db, between(1, 6))),
    "documents stormed": () => world.withDb((db) => fleet.storm(db, 10)),
  };
}
