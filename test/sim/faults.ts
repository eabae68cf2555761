import type { BotId, SegmentId } from "../../src/core/ids.ts";
import { deactivate, forgetPlacement } from "../../src/core/operations.ts";
import { rightOf } from "../../src/core/session.ts";
import type { World } from "./world.ts";
import type { SimWorker } from "./worker.ts";

/** Something that goes wrong from `begin` until the time that it gives, in ms of the world. `over` puts right what does
 *  not mend itself. */
export type Fault = {
  readonly begin: (world: World, victim: SimWorker) => { readonly forMs: number; readonly over?: () => void };
  /** Alone in a quiet fleet: how long a bot may be down for it, in ms; 0 means that nothing restarts. Source: ownership.md
   *  "Faults and bounds". Absent where bots go down with the fault for as long as it lasts. */
  readonly boundMs?: number;
};

/** L on the slowest clock, one round of the leader to see the last renewal, one to act, a poll of the worker, and a
 *  start with its wait for image and slot.
 *  No streams here: the product's hints save the worker's poll. */
const FAILOVER_MS = 10_000 / 0.95 + 1_100 + 1_100 + 1_100 + 3_000;

/** Longer than a headless worker waits before it gives up. */
const FOR_LONG = [50_000, 65_000] as const;

const paused =
  (low: number, high: number): Fault["begin"] =>
  (world, victim) => {
    victim.pause();
    return { forMs: world.chance.between(low, high), over: () => victim.resume() };
  };
const cut =
  (stores: readonly ("mongo" | "kube")[], high: number): Fault["begin"] =>
  (world, { pod }) => {
    for (const store of stores) pod.cut[store] = true;
    const over = (): void => {
      for (const store of stores) pod.cut[store] = false;
    };
    return { forMs: world.chance.between(3_000, high), over };
  };
const down =
  (store: "mongo" | "kube", low: number, high: number): Fault["begin"] =>
  (world) => {
    world.network.trouble.down[store] = true;
    return { forMs: world.chance.between(low, high), over: () => (world.network.trouble.down[store] = false) };
  };
const segmentIn = (world: World, bot: BotId): SegmentId => {
  const found = world.bots.find((b) => b.bot === bot);
  if (found === undefined) throw new RangeError(`Cannot find ${bot}`);
  return found.segment;
};
/** One of those that lead, or believe to. */
const leaderOf = (world: World, other: SimWorker): SimWorker => {
  const leaders = world.living().filter((w) => w.leader.isLeading);
  return leaders.length === 0 ? other : world.chance.pick(leaders);
};

export const faults = {
  "process killed": {
    begin: (world, victim) => {
      victim.die(world.chance.between(500, 2_000));
      return { forMs: 2_500 };
    },
    boundMs: 0,
  },
  "process killed for long": {
    begin: (world, victim) => {
      victim.die(world.chance.between(8_000, 30_000));
      return { forMs: 30_000 };
    },
  },
  "pod lost": {
    begin: (world, victim) => {
      victim.pod.lose();
      victim.die(undefined);
      world.addPod("ours", world.chance.between(5_000, 20_000));
      return { forMs: 20_000 };
    },
    boundMs: FAILOVER_MS,
  },
  "process stopped 3 s": { begin: paused(500, 3_000), boundMs: 0 },
  "process stopped long": { begin: paused(8_000, 40_000), boundMs: FAILOVER_MS },
  "process and fence frozen": {
    begin: (world, victim) => {
      const forMs = world.chance.between(2_000, 30_000);
      victim.pause();
      // A fence that freezes after its worker has been silent for long strikes too late, and nothing can be done about it:
      // published in ARCHITECTURE.md. Here both freeze together.
      const isTogether = victim.session !== undefined && rightOf(victim.session, victim.pod.mono(), world.timings) === "start";
      if (isTogether) victim.pod.fenceFrozenUntil = world.scheduler.now + forMs;
      // The kubelet's probe sees the fence's tick grow old.
      if (isTogether && forMs > 5_000)
        world.scheduler.after(world.chance.between(5_000, 6_500), () => {
          if (!victim.pod.isLost) victim.pod.killDocker("the kubelet");
        });
      return { forMs, over: () => victim.resume() };
    },
    boundMs: FAILOVER_MS,
  },
  "worker cut from MongoDB": { begin: cut(["mongo"], 40_000), boundMs: 0 },
  "worker cut from MongoDB for long": {
    begin: (world, { pod }) => {
      pod.cut.mongo = true;
      return { forMs: world.chance.between(...FOR_LONG), over: () => (pod.cut.mongo = false) };
    },
    // Its bots stop, it sees that they have, and from then on it is silent.
    boundMs: FAILOVER_MS + 1_000,
  },
  "MongoDB takes no write for long": {
    begin: (world) => {
      const { trouble } = world.network;
      const isDown = world.chance.is(0.5);
      if (isDown) trouble.down.mongo = true;
      else trouble.readOnly = true;
      const over = (): void => {
        if (isDown) trouble.down.mongo = false;
        else trouble.readOnly = false;
      };
      return { forMs: world.chance.between(...FOR_LONG), over };
    },
    boundMs: 0,
  },
  "worker cut from the API server": { begin: cut(["kube"], 40_000), boundMs: 0 },
  "worker cut from both": { begin: cut(["mongo", "kube"], 40_000), boundMs: FAILOVER_MS },
  "MongoDB elects": { begin: down("mongo", 10_000, 12_000), boundMs: 0 },
  "MongoDB down": { begin: down("mongo", 15_000, 40_000), boundMs: 0 },
  "MongoDB read-only": {
    begin: (world) => {
      world.network.trouble.readOnly = true;
      return { forMs: world.chance.between(3_000, 40_000), over: () => (world.network.trouble.readOnly = false) };
    },
    boundMs: 0,
  },
  "reads out of date": {
    begin: (world) => {
      world.staleMs = 4_000;
      return { forMs: world.chance.between(3_000, 30_000), over: () => (world.staleMs = 0) };
    },
    boundMs: 0,
  },
  "API server down": { begin: down("kube", 5_000, 40_000), boundMs: 0 },
  "leader killed": {
    begin: (world, other) => {
      leaderOf(world, other).die(world.chance.between(500, 2_000));
      return { forMs: 2_500 };
    },
    boundMs: 0,
  },
  "leader stopped": {
    begin: (world, other) => {
      const leader = leaderOf(world, other);
      leader.pause();
      return { forMs: world.chance.between(5_000, 40_000), over: () => leader.resume() };
    },
  },
  "two leaders": {
    begin: (world, other) => {
      if (other.phase === "up") other.leader.lead();
      return { forMs: world.chance.between(5_000, 30_000), over: () => other.leader.resign() };
    },
    boundMs: 0,
  },
  "dockerd hangs": {
    begin: (world, { pod }) => {
      const forMs = world.chance.between(2_000, 40_000);
      pod.hungUntil = world.scheduler.now + forMs;
      return { forMs };
    },
    boundMs: 0,
  },
  "dockerd slow": {
    begin: (world) => {
      world.dockerTrouble.slowMs = 14_000;
      world.dockerTrouble.replyLossRate = 0.2;
      return {
        forMs: world.chance.between(5_000, 30_000),
        over: () => Object.assign(world.dockerTrouble, { slowMs: 0, replyLossRate: 0 }),
      };
    },
    boundMs: 0,
  },
  "dind killed": {
    begin: (_world, { pod }) => {
      pod.killDocker("a fault");
      return { forMs: 3_000 };
    },
    boundMs: 18_000,
  },
  "clock of the pod set back": {
    begin: (world, { pod }) => {
      pod.fenceSkewMs = -world.chance.between(2_000, 1_000_000);
      pod.lookAtFence();
      const over = (): void => {
        pod.fenceSkewMs = 0;
        pod.lookAtFence();
      };
      return { forMs: world.chance.between(1_000, 40_000), over };
    },
  },
  "wall clock jumps": {
    begin: (world) => {
      world.wallErrorMs = world.chance.between(-3_600_000, 3_600_000);
      return { forMs: world.chance.between(5_000, 30_000), over: () => (world.wallErrorMs = 0) };
    },
    boundMs: 0,
  },
  "worker drains": {
    begin: (world, victim) => {
      victim.drain();
      world.addPod("ours", world.chance.between(100, 3_000));
      return { forMs: 12_000 };
    },
    boundMs: 12_000,
  },
  "planned moves": {
    begin: (world, other) => {
      for (let i = 0; i < 3; i++)
        world.scheduler.after(world.chance.between(0, 5_000), () => leaderOf(world, other).leader.moveSomething());
      return { forMs: 6_000 };
    },
    boundMs: 12_000,
  },
  "stops are slow": {
    begin: (world) => {
      world.slowStops = true;
      return { forMs: world.chance.between(10_000, 40_000), over: () => (world.slowStops = false) };
    },
    boundMs: 0,
  },
  "replies lost": {
    begin: (world) => {
      const { trouble } = world.network;
      trouble.replyLossRate = 0.3;
      trouble.lossRate = 0.1;
      return { forMs: world.chance.between(3_000, 30_000), over: () => Object.assign(trouble, { replyLossRate: 0, lossRate: 0 }) };
    },
  },
  "writes land late": {
    begin: (world) => {
      world.network.trouble.lateRate = 0.3;
      return { forMs: world.chance.between(5_000, 30_000), over: () => (world.network.trouble.lateRate = 0) };
    },
  },
  "network slow": {
    begin: (world) => {
      world.network.trouble.slowMs = 900;
      return { forMs: world.chance.between(5_000, 30_000), over: () => (world.network.trouble.slowMs = 0) };
    },
    boundMs: 0,
  },
  "second fleet": {
    begin: (world) => {
      const stranger = world.addPod("theirs");
      return { forMs: 10_000, over: () => stranger.die(undefined) };
    },
    boundMs: 0,
  },
  "runtime.* dropped": {
    begin: (world) => {
      world.mongo.drop();
      world.checker.forgetStores();
      // The leader's admission places the bots again, each in the segment that its name gives.
      world.scheduler.after(world.chance.between(0, 5_000), () => {
        world.placeBots();
      });
      return { forMs: 10_000 };
    },
  },
  "bot disabled and enabled": {
    begin: (world) => {
      const { bot } = world.chance.pick(world.bots);
      world.checker.setEnabled(bot, false);
      const over = (): void => world.checker.setEnabled(bot, true);
      return { forMs: world.chance.between(1_000, 20_000), over };
    },
  },
  "placement lost": {
    begin: (world) => {
      const { bot } = world.chance.pick(world.bots);
      world.checker.unplaced(bot);
      world.mongo.apply(deactivate(bot, segmentIn(world, bot), null));
      world.mongo.apply(forgetPlacement(bot));
      // The leader's admission finds the bot in the user's collection, and places it again.
      return { forMs: world.chance.between(500, 5_000), over: () => (world.checker.unplaced(bot), world.placeBots()) };
    },
  },
  "bot crashes": {
    begin: (_world, { pod }) => {
      for (const container of pod.containers.values()) if (container.state === "running") pod.end(container, 1);
      return { forMs: 3_000 };
    },
    boundMs: 14_000,
  },
} satisfies Record<string, Fault>;

export type FaultName = keyof typeof faults;
export const FAULT_NAMES = Object.keys(faults) as FaultName[];
