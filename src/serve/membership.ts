import { randomUUID } from "node:crypto";
import type { Config } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import { assertNever, ConfigurationError } from "../core/errors.ts";
import { timingsOf } from "../core/timings.ts";
import { LastSession } from "../process/last-session.ts";
import { workerIdOf } from "../process/worker-id.ts";
import type { Connection } from "../mongo/connect.ts";
import type { WorkerBus } from "../worker/events.ts";
import { claimFleet, confirmClaim, type FleetClaim } from "../worker/fleet.ts";
import type { Engine } from "../worker/ports.ts";
import { Session, type SessionOptions } from "../worker/session.ts";

/** Whose database it shall be. One process alone is the fleet of its Engine, pods are that of their Deployment, and several
 *  processes without a cluster name themselves alike. */
export async function fleetOf(
  config: Config,
  { engine, deploymentUid }: { readonly engine: Pick<Engine, "identify">; readonly deploymentUid: () => Promise<string> },
): Promise<string> {
  switch (config.coordination) {
    case "single":
      return (await engine.identify()).id;
    case "mongo":
      return `${config.namespace}/${config.leaseLockName}`;
    case "kubernetes":
      return deploymentUid();
    default:
      return assertNever(config.coordination);
  }
}

export type Membership = { readonly fleet: string; readonly session: Session; readonly incarnation: string };

export type JoinOptions = {
  readonly config: Config;
  readonly mongo: Connection;
  /** Our own, as `fleetOf` names it. */
  readonly fleet: string;
  readonly clock: Clock;
  readonly bus: WorkerBus;
  readonly freshDocker: SessionOptions["freshDocker"];
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
  freshDocker,
  patiently,
  onClaimed,
  signal,
}: JoinOptions): Promise<Membership> {
  const claim: FleetClaim = { owner: fleet, coordination: config.coordination, incarnation: randomUUID() };
  onClaimed(await patiently(() => claimFleet(mongo.store, claim)));
  // Not before the claim: a database of another fleet or of a newer version is not written to.
  await patiently(() => mongo.ensureIndexes());
  const { renewMs, fenceMs } = timingsOf(config);
  const options: SessionOptions = {
    store: mongo.store,
    clock,
    bus,
    base: config.coordination === "single" ? fleet : (config.podUid ?? (await workerIdOf(config.stateDir))),
    fleet,
    pod: config.podName,
    node: config.nodeName ?? "",
    capacity: config.maxBotsPerWorker,
    renewMs,
    last: await LastSession.open(config.stateDir),
    ...(freshDocker !== undefined && { freshDocker, fenceMs }),
  };
  const session = await patiently(() => Session.open(options, signal));
  const incarnation = await patiently(() => confirmClaim(mongo.store, claim)).catch(async (error: unknown) => {
    // What is announced and has run nothing yet is taken back; a session with bots of an earlier process is left as it is.
    if (session.inc === 1 && (error instanceof ConfigurationError || signal.aborted)) await session.stepDown("gone");
    throw error;
  });
  return { fleet, session, incarnation };
}
