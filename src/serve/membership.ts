import { randomUUID } from "node:crypto";
import type { Config } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import { ConfigurationError } from "../core/errors.ts";
import { fenceDeadline } from "../core/session.ts";
import { timingsOf } from "../core/timings.ts";
import type { FenceGuard } from "../process/fence-guard.ts";
import { LastSession } from "../process/last-session.ts";
import { workerIdOf } from "../process/kept-names.ts";
import type { Connection } from "../mongo/connect.ts";
import type { WorkerBus } from "../worker/events.ts";
import { claimFleet, confirmClaim, type FleetClaim } from "../worker/fleet.ts";
import type { Engine } from "../worker/ports.ts";
import { Session, type SessionOptions } from "../worker/session.ts";
import type { ClusterSide } from "./cluster-side.ts";

/** Whose database it shall be. Pods are the fleet of their Deployment, one process alone is that of its Engine, and several
 *  processes without a cluster name themselves alike. `side`: what there is of Kubernetes */
export async function fleetOf(
  config: Config,
  engine: Pick<Engine, "identify">,
  side: Pick<ClusterSide, "deploymentUid"> | undefined,
): Promise<string> {
  if (side !== undefined) return side.deploymentUid;
  if (config.coordination === "single") return (await engine.identify()).id;
  return `${config.namespace}/${config.leaseLockName}`;
}

export type Membership = { readonly fleet: string; readonly session: Session; readonly incarnation: string };

export type JoinOptions = {
  readonly config: Config;
  readonly mongo: Connection;
  /** Our own, as `fleetOf` names it. */
  readonly fleet: string;
  readonly clock: Clock;
  readonly bus: WorkerBus;
  /** Absent where there is no fence. */
  readonly guard: Pick<FenceGuard, "keepRunning" | "killAll"> | undefined;
  /** A session is about to be opened on a fresh Engine, which may take the fence a while. */
  readonly onFreshDocker: () => void;
  /** Repeats what fails for a passing reason. */
  readonly patiently: <T>(act: () => Promise<T>) => Promise<T>;
  readonly onClaimed: (claim: "claimed" | "ours" | "adopted") => void;
  readonly signal: AbortSignal;
};

/** Joins the fleet: claims the database, opens a session, and looks once more whether the database is still ours.
 *  @throws {ConfigurationError} when it belongs to another fleet */
export async function join({
  config,
  mongo,
  fleet,
  clock,
  bus,
  guard,
  onFreshDocker,
  patiently,
  onClaimed,
  signal,
}: JoinOptions): Promise<Membership> {
  const claim: FleetClaim = { owner: fleet, coordination: config.coordination, incarnation: randomUUID() };
  onClaimed(await patiently(() => claimFleet(mongo.store, claim)));
  // Not before the claim: a database of another fleet or of a newer version is not written to.
  await patiently(() => mongo.ensureIndexes());
  const timings = timingsOf(config);
  const options: SessionOptions = {
    store: mongo.store,
    clock,
    bus,
    base: config.coordination === "single" ? fleet : (config.podUid ?? (await workerIdOf(config.stateDir))),
    fleet,
    pod: config.podName,
    node: config.nodeName ?? "",
    capacity: config.maxBotsPerWorker,
    renewMs: timings.renewMs,
    last: await LastSession.open(config.stateDir),
    ...(guard !== undefined && {
      fenceMs: timings.fenceMs,
      freshDocker: (ended) => {
        onFreshDocker();
        return guard.killAll(ended);
      },
      keepRunning: (continued) => {
        const deadline = fenceDeadline(continued, timings);
        if (deadline !== undefined) guard.keepRunning(deadline);
      },
    }),
  };
  const session = await patiently(() => Session.open(options, signal));
  const incarnation = await patiently(() => confirmClaim(mongo.store, claim)).catch(async (error: unknown) => {
    // What is announced and has run nothing yet is taken back; a session with bots of an earlier process is left as it is.
    if (session.inc === 1 && (error instanceof ConfigurationError || signal.aborted)) await session.stepDown("gone");
    throw error;
  });
  return { fleet, session, incarnation };
}
