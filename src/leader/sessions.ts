import { after, type Clock, type MonoMs } from "../core/clock.ts";
import type { Fitness } from "../core/election.ts";
import { podOf, type SessionId } from "../core/ids.ts";
import {
  afterRevoking,
  type Ending,
  headlessSince,
  type Leases,
  nextEndingAt,
  observeSessions,
  planEndings,
  suspects,
  type Watches,
} from "../core/observation.ts";
import { settleFleet } from "../core/operations.ts";
import type { Figures } from "../core/figures.ts";
import type { HeadlessWorker, WorkerRecord } from "../core/records.ts";
import { isSettled, observeLife, planBarring, type Settling } from "../core/settling.ts";
import type { Timings } from "../core/timings.ts";
import { tolerate } from "../process/retry.ts";
import type { Cluster, PodView } from "./cluster.ts";
import type { LeaderBus } from "./events.ts";
import { FleetSight } from "./fleet-sight.ts";
import type { LeaderStore } from "./ports.ts";
import { Seniority } from "./seniority.ts";

/** So many looks in a row that came to nothing, and a leader gives up: another one may reach what it does not. */
const MAX_FAILURES = 3;

export type SessionsOptions = {
  readonly store: LeaderStore;
  readonly clock: Clock;
  readonly timings: Timings;
  readonly bus: LeaderBus;
  readonly self: SessionId;
  /** The life of the database in which our session was opened. In another one we judge nobody. */
  readonly incarnation: string;
  /** The second store. Absent: nobody lives by a Lease. */
  readonly cluster?: Pick<Cluster, "leases" | "writeLease" | "pods">;
};

/** Watches the sessions of all workers, in every process and all the time, so that whoever comes to lead has watched them
 *  already; and ends those that are silent, while this process leads. */
export class Sessions {
  /** Whether this process leads: then it looks twice as often, for each bot of a lost worker waits for its looks. */
  isLeading = false;
  readonly #options: SessionsOptions;
  readonly #sight: FleetSight;
  readonly #seniority: Seniority;
  #watches: Watches = new Map();
  #settling: Settling | undefined;
  #readAt: MonoMs | undefined;
  #failures = 0;
  #states = "";

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#sight = new FleetSight(options);
    this.#seniority = new Seniority(options.timings);
  }

  /** Whether this process has lost sight of the books for so long that another one should lead. */
  get hasFailed(): boolean {
    return this.#failures >= MAX_FAILURES;
  }

  /** When the answer of the last look into the books had come that was complete. */
  get readAt(): MonoMs | undefined {
    return this.#readAt;
  }

  /** Whether segments may be given away: nobody of an earlier life of this database can still be running bots. */
  isSettled(): boolean {
    const { clock, timings } = this.#options;
    return this.#isOurLife() && isSettled(this.#settling, this.#leases(), clock.mono(), timings.endMs);
  }

  /** The figures that some leader told last, and how old they are, in ms. */
  latest(): { readonly figures: Figures; readonly ageMs: number } | undefined {
    return this.#sight.latest();
  }

  /** How fit this process is to lead. `holder`: who led last, and may be dead though its session still seems to live. */
  fitness(holder: SessionId | null, own: { readonly isDraining: boolean; readonly isIdle: boolean }): Fitness {
    const idle = this.#sight.idle();
    const silent = this.suspects();
    const others = [...this.#watches.values()]
      .map(({ record }) => record)
      .filter((w) => this.#mayLead(w) && w._id !== holder && !silent.has(w._id));
    return {
      isBarred: own.isDraining || !this.#isOurLife() || this.hasFailed,
      isBusy: !own.isIdle && others.some((w) => idle.has(w._id)),
      isFresh: !this.#seniority.isOurs(this.#options.clock.mono()) && others.some((w) => this.#seniority.mayBeOf(w)),
    };
  }

  /** Workers that have been alive for L under our eyes: any of them could lead without having to watch first. */
  seasoned(): ReadonlySet<SessionId> {
    const now = this.#options.clock.mono();
    const silent = this.suspects();
    const seasoned = [...this.#watches.values()].filter(({ record }) => this.#seniority.isProvenOf(record, now));
    return new Set(seasoned.flatMap(({ record: { _id } }) => (silent.has(_id) ? [] : [_id])));
  }

  /** Workers that are given nothing: silent, though not yet for long enough to be ended; without their Docker Engine; or in a pod
   *  that is about to be ended, whose SIGTERM may come later, or be lost on a container that has only just begun. */
  suspects(): ReadonlySet<SessionId> {
    const silent = suspects(this.#watches, this.#options.clock.mono(), this.#options.timings);
    const degraded = [...this.#watches.values()].flatMap(({ record }) => (record.degraded === true ? [record._id] : []));
    return new Set([...silent, ...degraded, ...this.#inPods(({ isTerminating }) => isTerminating)]);
  }

  /** Workers that live by their Lease alone. To the second, so that two looks say the same. */
  headless(): readonly HeadlessWorker[] {
    const { clock, timings } = this.#options;
    const [now, wallMs] = [clock.mono(), clock.wall().getTime()];
    return [...headlessSince(this.#watches, now, timings)].map(([sid, since]) => ({
      sid,
      since: new Date(Math.round((wallMs - (now - since)) / 1_000) * 1_000),
    }));
  }

  /** Looks until the signal aborts, each second, and exactly when a silence becomes long enough. `isNews`: workers have come,
   *  gone, or changed their state. */
  async run(onLook: (isNews: boolean) => void, signal: AbortSignal): Promise<void> {
    const { clock, timings } = this.#options;
    while (!signal.aborted) {
      const before = this.#states;
      await this.#look();
      onLook(before !== this.#states);
      const now = clock.mono();
      const next = Math.min(
        after(now, this.isLeading ? timings.renewMs / 2 : timings.renewMs),
        nextEndingAt(this.#watches, timings, now) ?? Infinity,
      );
      await clock.sleep(Math.max(1, next - now), signal).catch(() => {});
    }
  }

  /** O3 for everybody who has been silent for long enough or is proven dead, marks on Leases of another life, and the end
   *  of waiting for one. Returns whether there is more to plan now.
   *  @throws {StoreUnreachableError} @throws {ClusterUnreachableError} */
  async endSilent(): Promise<boolean> {
    if (!this.#isOurLife() || this.#settling === undefined) return false;
    const { store, clock, timings, incarnation } = this.#options;
    // All at once: L begins with the last mark.
    const marks = planBarring(this.#settling, this.#leases());
    await Promise.all(marks.map(async (mark) => this.#options.cluster?.writeLease(mark)));
    // A terminated pod is so for good: no time need pass.
    const provenDead = this.#inPods(({ isProvenDead }) => isProvenDead);
    // All at once as well: a lost node has many workers, and each has bots that wait.
    const endings = planEndings(this.#watches, clock.mono(), timings, provenDead).map((ending) => this.#end(ending));
    let isNews = (await Promise.all(endings)).includes(true);
    if (this.#settling.unsettledAt !== undefined && this.isSettled()) {
      await store.apply(settleFleet(incarnation));
      this.#settling = { incarnation, unsettledAt: undefined };
      isNews = true;
    }
    return isNews;
  }

  /** The Lease first: the other order left sessions that nobody could free. */
  async #end({ sid, lease, record }: Ending): Promise<boolean> {
    const { store, clock, bus, cluster } = this.#options;
    const watch = this.#watches.get(sid);
    if (watch === undefined) return false;
    if (lease !== undefined) {
      const reply = await cluster?.writeLease(lease);
      if (reply?.kind !== "written") return false; // it was renewed meanwhile: the next look shows a sign of life
      this.#watches = afterRevoking(this.#watches, sid, reply.version);
    }
    if ((await store.apply(record)) === "missed") return false;
    // The next look may be a while off, and what was ended is not to be ended again.
    this.#watches = new Map([...this.#watches].filter(([id]) => id !== sid));
    bus.emit("session:ended", { sid, pod: watch.record.pod, silentMs: clock.mono() - watch.since });
    return true;
  }

  #leases(): Leases {
    return this.#options.cluster?.leases() ?? "none";
  }

  /** Sessions whose pods are such, as far as the cluster is in sight. */
  #inPods(isMeant: (pod: PodView) => boolean): ReadonlySet<SessionId> {
    const pods = new Set(this.#options.cluster?.pods().flatMap((pod) => (isMeant(pod) ? [pod.uid] : [])));
    return new Set([...this.#watches.keys()].filter((sid) => pods.has(podOf(sid))));
  }

  async #look(): Promise<void> {
    const { bus } = this.#options;
    await tolerate(
      () => this.#read(),
      (error) => {
        this.#failures += 1;
        bus.emit("round:failed", { loop: "sessions", error });
      },
    );
  }

  async #read(): Promise<void> {
    const { store, clock } = this.#options;
    const [workers, fleet, view] = await Promise.all([store.workers(), store.fleet(), store.fleetView()]);
    const leases = this.#leases();
    const now = clock.mono();
    // After an outage the others have as much to catch up with as we have: nobody's silence is counted through it.
    if (this.hasFailed) this.#watches = new Map();
    this.#seniority.saw(workers, now, this.hasFailed ? now - (this.#readAt ?? now) : undefined);
    this.#watches = observeSessions(this.#watches, workers, leases, now);
    this.#settling = fleet === undefined ? undefined : observeLife(this.#settling, fleet, leases, now);
    this.#readAt = now;
    const silent = this.suspects();
    this.#states = workers.map(({ _id, state, inc }) => `${_id} ${state} ${inc} ${silent.has(_id)}`).join();
    if (view !== undefined) this.#sight.saw(view, now);
    this.#failures = 0;
  }

  #isOurLife(): boolean {
    return this.#settling?.incarnation === this.#options.incarnation;
  }

  #mayLead({ _id, state }: WorkerRecord): boolean {
    return state === "up" && _id !== this.#options.self;
  }
}
