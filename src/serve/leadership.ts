import type { Config } from "../config.ts";
import type { Clock, MonoMs } from "../core/clock.ts";
import { electionTimings, type Sight } from "../core/election.ts";
import type { Figures } from "../core/figures.ts";
import { reachesStore } from "../core/headless.ts";
import { timingsOf } from "../core/timings.ts";
import { createBotReader } from "../document/read-bot.ts";
import { Admission } from "../leader/admission.ts";
import { Autoscaler } from "../leader/autoscaler.ts";
import { Elector } from "../leader/elector.ts";
import { EndableStore } from "../leader/endable-store.ts";
import type { LeaderBus } from "../leader/events.ts";
import { Leader } from "../leader/leader.ts";
import { LeaseSweep } from "../leader/lease-sweep.ts";
import { Sessions } from "../leader/sessions.ts";
import type { Connection } from "../mongo/connect.ts";
import type { Actor } from "../process/run-group.ts";
import { type ClusterSide, scalingOf } from "./cluster-side.ts";
import type { Membership } from "./membership.ts";

/** How long the target of a planned move may take to get its images, in ms: below what its draining owner waits. */
const PULL_PATIENCE_MS = 15_000;
/** A leader that ended waits so long before it leads again, where nobody else could, in ms. */
const AGAIN_MS = 1_000;
/** Of the time between two tries a call may take so much. Source: ownership.md "Timing", below 2. */
const CALL_SHARE = 1.5;

export type LeadershipOptions = {
  readonly config: Config;
  readonly mongo: Connection;
  readonly membership: Membership;
  /** Absent outside Kubernetes. */
  readonly side: ClusterSide | undefined;
  /** The cluster's watched copies follow the API server. */
  readonly onClusterReached: () => void;
  readonly clock: Clock;
  readonly random: () => number;
  readonly bus: LeaderBus;
  /** Aborts once this process drains: soon it leads no more, while its bots wait for the next leader's word. */
  readonly leaving: AbortSignal;
  /** Whether this process runs no bots. */
  readonly isIdle: () => boolean;
  /** When the last renewal of our own session was sent that MongoDB has acknowledged. */
  readonly renewedAt: () => MonoMs | undefined;
};

/** This process's part in leading the fleet. */
export type Leadership = {
  readonly actors: readonly Actor[];
  /** The figures of whoever leads, and their age in ms. */
  latest(): { readonly figures: Figures; readonly ageMs: number } | undefined;
  /** The lease of leadership as this process last saw it. */
  sight(): Sight | undefined;
  /** Ends once this process does not lead; one that leaves has ended then what it had in hand as the leader. */
  left(): Promise<void>;
};

/** One process alone leads itself; several elect who does, and all of them watch. */
export function createLeadership(options: LeadershipOptions): Leadership {
  const { config, mongo, membership, side, onClusterReached, clock, random, bus, leaving, isIdle, renewedAt } = options;
  const { feed } = mongo;
  const store = new EndableStore(mongo.store);
  const read = createBotReader({ maxStopGraceSeconds: config.maxStopGraceSeconds });
  const common = {
    store,
    feed,
    admission: new Admission({ store, read, maxSegment: config.maxSegment, clock, bus }),
    clock,
    bus,
    checkIntervalMs: config.scaleCheckIntervalSeconds * 1_000,
    worker: config.podName,
  };
  if (config.coordination === "single") {
    const leader = new Leader(common);
    return {
      actors: [(signal) => leadAlone(leader, clock, signal)],
      latest: () => leader.latest(),
      sight: () => undefined,
      left: async () => {},
    };
  }
  const { fleet, incarnation, session } = membership;
  const self = session.sid;
  const timings = timingsOf(config);
  const cluster = side?.cluster;
  const sessions = new Sessions({ store: mongo.store, clock, timings, bus, self, incarnation, ...(cluster !== undefined && { cluster }) });
  const policy = { patienceMs: config.backlogPatienceSeconds * 1_000, lostPatienceMs: 0, pullPatienceMs: PULL_PATIENCE_MS };
  const parts = cluster && {
    autoscaler: new Autoscaler({ cluster, store, clock, bus, base: scalingOf(config), pod: config.podName }),
    sweep: new LeaseSweep({ cluster, store, clock, bus }),
  };
  const leader = new Leader({ ...common, sid: self, sessions, fleet, policy, leaving, ...parts });
  let leading = Promise.resolve();
  const lead: Actor = (signal) => {
    const ended = leader.run(signal);
    leading = ended.catch(() => {});
    return ended;
  };
  const retries = electionTimings(timings.renewMs);
  const callMs = CALL_SHARE * retries.retryMs;
  const lease = side?.election({
    self,
    limitMs: callMs,
    onFree: () => elector.look(),
    reachesStore: () => reachesStore(renewedAt(), sessions.readAt, clock.mono(), timings),
  });
  const elector: Elector = new Elector({
    election: lease ?? mongo.election(callMs),
    clock,
    random,
    timings: retries,
    self,
    fitness: (holder) => sessions.fitness(holder, { isDraining: leaving.aborted, isIdle: isIdle() }),
    bus,
  });
  const onCluster = (): void => {
    if (cluster?.leases() !== "unread") onClusterReached();
    parts?.autoscaler.onCluster();
    leader.onLook(false);
  };
  const watched: Actor[] = side === undefined ? [] : [(signal) => side.cluster.run(onCluster, signal)];
  if (lease !== undefined) watched.push((signal) => lease.run(signal));
  return {
    actors: [(signal) => sessions.run((isNews) => leader.onLook(isNews), signal), (signal) => elector.run(lead, signal), ...watched],
    latest: () => leader.latest() ?? sessions.latest(),
    sight: () => elector.sight,
    left: () => leading,
  };
}

async function leadAlone(leader: Leader, clock: Clock, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await leader.run(signal);
    await clock.sleep(AGAIN_MS, signal).catch(() => {});
  }
}
