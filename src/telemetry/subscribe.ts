import { ClusterRefusedError, ClusterUnreachableError, EngineUnreachableError, StoreUnreachableError } from "../core/errors.ts";
import type { EngineBus } from "../docker/engine-events.ts";
import type { LeaderBus } from "../leader/events.ts";
import type { WorkerBus } from "../worker/events.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";

/** Turns what happens into log lines and numbers: the one list of what operators get to see. */
export function tellWorker(bus: WorkerBus, log: Log, metrics: Metrics, outages: Outages): void {
  bus.on("bot:started", ({ bot, container, why, tookMs, gapMs }) => {
    outages.over("docker");
    metrics.starts.inc({ reason: why });
    metrics.startSeconds.observe(tookMs / 1_000);
    if (gapMs !== undefined) metrics.gapSeconds.observe(gapMs / 1_000);
    log.info("Started bot", { bot, container: short(container), why, tookMs: Math.round(tookMs), gapMs });
  });
  bus.on("bot:adopted", ({ bot, container }) => log.info("Adopted running bot", { bot, container: short(container) }));
  bus.on("bot:stopped", ({ bot, container: { id, sid, epoch, startedAt }, why, tookMs }) => {
    const fields = { bot, container: short(id), why, sid, epoch, startedAt, tookMs: Math.round(tookMs) };
    if (why === "not-mine") log.warn("Stopped a container that is nobody's here", fields);
    else log.info("Stopped bot", fields);
  });
  bus.on("bot:ended", ({ bot, container, exit, why }) => {
    metrics.exits.inc({ reason: why });
    const fields = {
      bot,
      container: short(container),
      why,
      code: exit.code,
      oom: exit.oom === "no" ? undefined : exit.oom,
      engine: exit.error,
    };
    if (why === "crashed" || why === "failed") log.warn("Bot ended by itself", fields);
    else log.info("Bot ended", fields);
  });
  bus.on("bot:start-failed", ({ bot, retryMs, error }) =>
    log.warn("Could not start bot", { bot, retryMs: retryMs === undefined ? undefined : Math.round(retryMs), reason: error }),
  );
  bus.on("bot:visit-failed", ({ bot, retryMs, expected, error }) => {
    metrics.visitFaults.inc();
    outages.seen(error);
    if (expected) log.debug("Could not look at bot", { bot, retryMs: Math.round(retryMs), reason: error });
    else log.error("Met an unexpected fault at a bot", { bot, retryMs: Math.round(retryMs), error });
  });
  bus.on("bot:state", ({ bot, from, to }) => {
    // Invalid documents are counted by the leader, who sees those that no worker has in hand as well.
    if (from !== undefined && from !== "invalid") metrics.bots.dec({ state: from });
    if (to !== undefined && to !== "invalid") metrics.bots.inc({ state: to });
    log.debug("Bot changed state", { bot, from, to });
  });
  bus.on("bot:name-taken", ({ bot }) => log.warn("Waiting for a container name that is not ours to free", { bot }));
  bus.on("bot:name-held", ({ bot }) => {
    metrics.heldNames.inc();
    log.warn("The Docker Engine does not let go of a container's name: restart the Docker daemon", { bot });
  });
  bus.on("segment:gained", ({ segment, epoch }) => log.info("Took over segment", { segment, epoch }));
  bus.on("segment:ready", ({ segment, epoch, images }) => log.info("Ready for segment", { segment, epoch, images }));
  bus.on("segment:released", ({ segment, epoch }) => log.info("Released segment", { segment, epoch }));
  bus.on("segment:lost", ({ segment, epoch }) => log.warn("Lost segment", { segment, epoch }));
  bus.on("session:opened", ({ sid, inc, continued }) => log.info("Opened session", { sid, inc, continued }));
  bus.on("session:renewed", ({ store }) => outages.over(store));
  bus.on("session:unrenewed", ({ store, reason }) => log.debug("Could not renew the session", { store, reason }));
  bus.on("right:over", () => log.warn("Stopping all bots: nobody has confirmed this session for too long"));
  bus.on("right:back", () => log.info("Bots may run again: the session was confirmed"));
  bus.on("headless:gave-up", ({ headlessMs, leader, vouchedMs }) =>
    log.error("Giving up: the leader reaches MongoDB, and this worker has not for too long: others can run its bots", {
      headlessMs: Math.round(headlessMs),
      leader,
      vouchedMs: Math.round(vouchedMs),
    }),
  );
  bus.on("engine:silent", ({ silentMs }) =>
    log.warn("The Docker Engine is silent: running bots stay, and no new segments are taken", { silentMs: Math.round(silentMs) }),
  );
  bus.on("engine:back", () => log.info("The Docker Engine answers again: new segments are welcome"));
  bus.on("engine:restarting", ({ need: { what, segment, epoch, bot }, silentMs, waitedMs, pings, waiting }) => {
    metrics.engineRestarts.inc();
    const evidence = { silentMs: Math.round(silentMs), pings, what, segment, epoch, bot, waitedMs: Math.round(waitedMs), waiting };
    log.error("Restarting the Docker Engine and every bot here: it answers no ping, and ownership waits for it", evidence);
  });
  bus.on("engine:restarted", ({ tookMs }) =>
    log.info("Nothing runs behind the fence any more: the Docker Engine may come up again", { tookMs: Math.round(tookMs) }),
  );
  bus.on("drain:asked", () => log.info("Draining: an operator asked for it"));
  bus.on("status:refused", ({ bot }) => log.warn("A newer owner has reported on the bot", { bot }));
  bus.on("reconcile:done", ({ tookMs, steps }) => {
    outages.over("docker");
    metrics.reconcileSeconds.observe(tookMs / 1_000);
    log.debug("Compared containers with what should run", { tookMs: Math.round(tookMs), steps });
  });
  bus.on("round:failed", ({ loop, error }) => outages.seen(error, loop));
}

export function tellLeader(bus: LeaderBus, log: Log, metrics: Metrics, outages: Outages): void {
  bus.on("leader:elected", ({ term }) => {
    metrics.leader.set(1);
    metrics.leaderChanges.inc();
    log.info("leader: this process leads", { term });
  });
  bus.on("leader:resigned", ({ term }) => {
    metrics.leader.set(0);
    metrics.clearFleet();
    log.info("leader: this process leads no more", { term });
  });
  bus.on("leader:seen", ({ holder }) => {
    metrics.leaderChanges.inc();
    log.info("leader: another process leads", { holder });
  });
  bus.on("session:ended", ({ sid, pod, silentMs }) => log.warn("Ended a silent session", { sid, pod, silentMs: Math.round(silentMs) }));
  bus.on("admission:merged", ({ documents, steps, tookMs }) =>
    log.debug("Compared all bots with their placements", { documents, steps, tookMs: Math.round(tookMs) }),
  );
  bus.on("admission:stepped", ({ step }) => {
    if (step.kind === "report") log.warn("Refused bot", { bot: step.bot, reason: step.faults.join("; ") });
    else log.debug("Admitted bot", { bot: step.bot, step: step.kind });
  });
  bus.on("document:unusable", ({ document, reason }) => log.warn("Refused document", { document, reason }));
  bus.on("assignment:stepped", ({ step: { kind, segment, ...rest } }) => log.info("Changed assignment", { step: kind, segment, ...rest }));
  bus.on("assignment:missed", ({ step: { kind, segment } }) => log.debug("Assignment had moved on", { step: kind, segment }));
  bus.on("figures:observed", ({ figures, shared, invalid, handOverMs }) => {
    metrics.setFleet(figures, { shared, handOverMs });
    metrics.bots.set({ state: "invalid" }, invalid);
    log.debug("Observed the fleet", { ...figures, shared, invalid });
  });
  tellScaling(bus, log, metrics);
  bus.on("round:failed", ({ loop, error }) => outages.seen(error, loop));
}

function tellScaling(bus: LeaderBus, log: Log, metrics: Metrics): void {
  bus.on("scaling:observed", (seen) => metrics.setScaling(seen));
  bus.on("scaled", ({ from, to, why, at, leader }) =>
    log.info(`autoscaler: Scaling from ${from} to ${to} replicas`, { from, to, why, ...(leader !== undefined && { leader, at }) }),
  );
  bus.on("scaling:held", ({ why, replicas, foreign }) => {
    if (why === "foreign") log.warn("autoscaler: not scaling, somebody else owns the number of replicas", { replicas, foreign });
    else if (why === "cooldown") log.info("autoscaler: holding for the cooldown", { replicas });
    else log.info("autoscaler: holding", { why, replicas });
  });
  bus.on("scaling:settings", ({ mode, min, max, standby, checkIntervalMs, cooldownMs }) =>
    log.info("autoscaler: these bounds hold, cooldown included", { mode, min, max, standby, checkIntervalMs, cooldownMs }),
  );
  bus.on("scaling:refused", ({ reason }) => log.warn("autoscaler: kept the bounds from before, the new ones are invalid", { reason }));
  bus.on("pods:missing", ({ failure, pending }) => {
    if (failure !== null) log.warn("The cluster refuses new pods", { reason: failure });
    if (pending.length > 0) log.warn("Pods wait to be placed", { pending });
  });
  bus.on("event:untold", ({ reason, error }) => log.debug("Could not write an Event", { event: reason, reason: error }));
}

export function tellEngine(bus: EngineBus, log: Log, metrics: Metrics): void {
  bus.on("events:silent", ({ missing, times }) => {
    metrics.silentStreams.inc();
    // Behind a proxy that lets nothing through this goes on for ever, and is said once.
    if (times === 1) log.warn("Opened the Engine's event stream anew: it had fallen silent", { missing });
  });
  bus.on("image:pulled", ({ image, id, tookMs }) => log.info("Pulled image", { image, id, tookMs: Math.round(tookMs) }));
  bus.on("image:stale", ({ image, error }) => log.warn("Used the image that is here: the registry gave none", { image, reason: error }));
  bus.on("image:removed", ({ image, id }) => log.info("Removed image that nobody uses", { image, id }));
  bus.on("image:kept", ({ image, id, error }) => log.debug("Could not remove image", { image, id, reason: error }));
  bus.on("image:unrecorded", ({ image, error }) => log.warn("Could not record a pulled image", { image, reason: error }));
  bus.on("credentials:refused", ({ error }) => log.warn("Kept the registries' old credentials", { reason: error }));
}

/** Refusals that are remembered. */
const MAX_REFUSALS = 100;

/** One line when a store goes away and one when it is back, however many calls failed in between. One for the process:
 *  leader and worker lose the same stores. */
export class Outages {
  readonly #log: Log;
  readonly #metrics: Metrics;
  readonly #met = new Set<Store>();
  readonly #down = new Set<Store>();
  readonly #refusals = new Set<string>();

  constructor(log: Log, metrics: Metrics) {
    this.#log = log;
    this.#metrics = metrics;
  }

  seen(error: unknown, loop?: string): void {
    if (error instanceof ClusterRefusedError) return this.#refused(error, loop);
    const store = storeOf(error);
    if (store === undefined || this.#down.has(store)) return;
    // Nothing is lost that was never there: behind a fence an Engine comes up after its worker.
    if (!this.#met.has(store)) return this.#log.debug("Not in touch yet", { store, loop, reason: error });
    this.#down.add(store);
    this.#metrics.storeUp.set({ store }, 0);
    this.#log.warn("Lost touch: bots run on, changes wait", { store, loop, reason: error });
  }

  /** Said once in each wording: a right that is missing is missed again and again. */
  #refused(error: ClusterRefusedError, loop: string | undefined): void {
    if (this.#refusals.has(error.message)) return;
    if (this.#refusals.size >= MAX_REFUSALS) this.#refusals.clear();
    this.#refusals.add(error.message);
    this.#log.warn("The Kubernetes API refused a call: does the service account have the Role of the chart?", { loop, reason: error });
  }

  over(store: Store): void {
    this.#met.add(store);
    this.#metrics.storeUp.set({ store }, 1);
    if (this.#down.delete(store)) this.#log.info("In touch again", { store });
  }
}

export type Store = "mongodb" | "docker" | "kubernetes";

function storeOf(error: unknown): Store | undefined {
  if (error instanceof StoreUnreachableError) return "mongodb";
  if (error instanceof EngineUnreachableError) return "docker";
  return error instanceof ClusterUnreachableError ? "kubernetes" : undefined;
}

/** The twelve digits that `docker ps` shows. */
function short(container: string): string {
  return container.slice(0, 12);
}
