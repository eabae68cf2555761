import type { MonoMs } from "../../src/core/clock.ts";
import { type ClaimVerdict, decideClaim } from "../../src/core/claim.ts";
import { type Desired, planBot } from "../../src/core/containers.ts";
import type { BotId, ContainerId, Epoch, SegmentId } from "../../src/core/ids.ts";
import { judgeLease, renewLease } from "../../src/core/lease.ts";
import {
  activate,
  continueSession,
  deactivate,
  type Operation,
  type Outcome,
  releaseSegment,
  renewSession,
  reportStatus,
  stepDown,
} from "../../src/core/operations.ts";
import type { FleetRecord, PlacementRecord, SegmentRecord, WorkerRecord } from "../../src/core/records.ts";
import { planRegistration } from "../../src/core/registration.ts";
import { afterAdoption, afterExit, afterStart, type BotMemory, FRESH } from "../../src/core/restart.ts";
import {
  afterLeaseRenewal,
  afterLife,
  afterRenewal,
  fenceDeadline,
  isLeaseDue,
  openSession,
  rightOf,
  type Session,
} from "../../src/core/session.ts";
import { proveStopped, quietSegments } from "../../src/core/stop-proof.ts";
import { mayStartIn, meetSegments, type Tenures } from "../../src/core/tenure.ts";
import { fields } from "../contract/operation-cases.ts";
import { aSpec, hash } from "../support/builders.ts";
import { SimLeader } from "./leader.ts";
import type { StoreName } from "./network.ts";
import type { Labels, Pod } from "./pod.ts";
import type { World } from "./world.ts";

const POLL_MS = 1_000;
const LIST_MS = 10_000;
/** A visit that met a fault is tried again within so much. */
const RETRY_MS = 1_000;
const STRANGER: Desired = { want: "stop", why: "not-mine" };
const RUN_STATUS = fields();

/** The worker process of one pod, and those that follow it there: thin loops that ask the core what to do and do it. */
export class SimWorker {
  readonly world: World;
  readonly pod: Pod;
  readonly fleet: string;
  readonly leader: SimLeader;
  phase: "off" | "starting" | "up" | "ending" = "off";
  isDraining = false;
  isPaused = false;
  session: Session | undefined;
  incarnation = "";
  tenures: Tenures = new Map();
  /** What asks for things in an earlier process of this pod finds nobody. */
  #life = 0;
  #backlog: (() => void)[] = [];
  #renewing = false;
  #leasing = false;
  #leaseVersion: string | undefined;
  #knowsLease = false;
  #writtenDeadline: MonoMs | undefined;
  #placements = new Map<BotId, SegmentId>();
  #memory = new Map<BotId, BotMemory>();
  #visiting = new Set<BotId>();
  #again = new Set<BotId>();
  #doubtful = new Set<BotId>();
  #isComplete = false;
  #isStoreAway = false;
  #releasing = false;
  #mayRun = false;

  constructor(world: World, pod: Pod, fleet: string) {
    this.world = world;
    this.pod = pod;
    this.fleet = fleet;
    this.leader = new SimLeader(this);
  }

  get isAlive(): boolean {
    return this.phase !== "off" && !this.pod.isLost;
  }

  // The process.

  boot(): void {
    if (this.pod.isLost || this.phase !== "off") return;
    this.#life += 1;
    this.#backlog = [];
    this.phase = "starting";
    this.isPaused = false;
    this.isDraining = false;
    this.session = undefined;
    this.tenures = new Map();
    this.#renewing = this.#leasing = this.#knowsLease = this.#isComplete = this.#isStoreAway = this.#releasing = this.#mayRun = false;
    this.#leaseVersion = this.#writtenDeadline = undefined;
    this.#placements = new Map();
    this.#memory = new Map();
    this.#visiting = new Set();
    this.#again = new Set();
    this.#doubtful = new Set();
    this.leader.reset();
    this.world.say(this.pod, "process starts");
    this.#claim();
  }

  /** SIGKILL, or an end of its own accord; the kubelet starts the next one. */
  die(backInMs: number | undefined): void {
    if (this.phase === "off") return;
    this.phase = "off";
    this.#life += 1;
    this.world.say(this.pod, "process ends");
    if (backInMs !== undefined) this.world.scheduler.after(backInMs, () => this.boot());
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    const backlog = this.#backlog;
    this.#backlog = [];
    for (const act of backlog) act();
  }

  /** What `act` does is done by this process, when it runs, or never. */
  mine<A extends unknown[]>(act: (...args: A) => void): (...args: A) => void {
    const life = this.#life;
    const run = (...args: A): void => {
      if (this.#life !== life || this.pod.isLost) return;
      if (this.isPaused) this.#backlog.push(() => run(...args));
      else act(...args);
    };
    return run;
  }

  after(ms: number, act: () => void): void {
    this.world.scheduler.after(this.pod.realMs(ms), this.mine(act));
  }

  every(ms: number, act: () => void): void {
    const round = (): void => {
      act();
      this.after(ms, round);
    };
    this.after(this.world.chance.between(0, ms), round);
  }

  ask<T>(to: StoreName, act: () => T, done: (reply: T | undefined) => void, kind: "read" | "write" = "read"): void {
    this.world.network.call(this.pod, to, kind, this.world.timings.callMs, act, this.mine(done));
  }

  apply(operation: Operation, done: (outcome: Outcome | undefined) => void): void {
    this.ask("mongo", () => this.world.mongo.apply(operation), done, "write");
  }

  #retry(act: () => void): void {
    this.after(this.world.chance.between(200, 1_000), act);
  }

  // O0.

  #claim(): void {
    this.#judgeClaim((verdict, seen) => {
      const again = (): void => this.#retry(() => this.#claim());
      if (verdict.kind === "insert")
        return this.ask("mongo", () => this.world.mongo.insert("control", { ...verdict.record }), again, "write");
      if (verdict.kind === "adopt") return this.apply(verdict.operation, again);
      this.incarnation = seen.held?.incarnation ?? "";
      return this.#register(seen.workers);
    });
  }

  #judgeClaim(
    then: (
      verdict: Exclude<ClaimVerdict, { kind: "refuse" }>,
      seen: { readonly held: FleetRecord | undefined; readonly workers: WorkerRecord[] },
    ) => void,
  ): void {
    const { mongo, chance } = this.world;
    this.ask(
      "mongo",
      () => ({ held: mongo.fleet(), workers: mongo.workers() }),
      (seen) => {
        // A second fleet is set up beside one that is there; who is first in an empty database owns it.
        if (seen === undefined || (seen.workers.length === 0 && this.fleet !== "ours")) return this.#retry(() => this.#judgeClaim(then));
        const incarnation = `life-${Math.floor(chance.next() * 1e9)}`;
        const mine: FleetRecord = { _id: "fleet", owner: this.fleet, coordination: "kubernetes", schema: 1, incarnation };
        const verdict = decideClaim({ ...seen, mine, oldFleetIsStopped: false });
        this.world.coverage.count(`claim ${verdict.kind}`);
        if (verdict.kind !== "refuse") return then(verdict, seen);
        this.world.say(this.pod, "finds the database with another fleet");
        if (this.session !== undefined) this.apply(stepDown(this.session.sid, this.session.inc, "gone"), () => {});
        return this.die(this.fleet === "ours" ? this.world.chance.between(500, 2_000) : undefined);
      },
    );
  }

  #register(workers: readonly WorkerRecord[]): void {
    const plan = planRegistration(this.pod.uid, workers);
    const sentAt = this.pod.mono();
    if (plan.kind === "continue") {
      const { _id: sid, inc } = plan.record;
      const operation = continueSession(sid, inc);
      this.world.checker.sent(operation, inc + 1);
      this.apply(operation, (outcome) => {
        if (outcome !== "won") return this.#retry(() => this.#claim());
        this.#announced(openSession(sid, inc + 1, sentAt));
      });
      return;
    }
    this.#onFreshDocker(() => {
      const { mongo, timings } = this.world;
      const { uid: pod } = this.pod;
      const { sid: _id } = plan;
      const record: WorkerRecord = {
        _id,
        inc: 1,
        hbSeq: 0,
        state: "up",
        proto: 1,
        capacity: 500,
        pod,
        node: "",
        fleet: this.fleet,
        fenceMs: timings.fenceMs,
      };
      const sentAt = this.pod.mono();
      const insert = (): "inserted" | "exists" => mongo.insert("workers", record);
      this.ask(
        "mongo",
        insert,
        (reply) => {
          this.world.coverage.count(`O0 open ${reply ?? "unknown"}`);
          // After a lost reply the record stands, and the next look goes on with it.
          if (reply !== "inserted") return this.#retry(() => this.#claim());
          this.#announced(openSession(_id, 1, sentAt));
        },
        "write",
      );
    });
  }

  /** Before anything is run under it: whether another fleet came at the same moment. */
  #announced(session: Session): void {
    this.session = session;
    this.#judgeClaim((verdict, seen) => {
      if (verdict.kind !== "ours" || seen.held?.incarnation !== this.incarnation) return this.die(this.world.chance.between(500, 2_000));
      this.#open(session);
    });
  }

  /** A new session begins when the fence has killed what an earlier one may have left, calls in dockerd's hands too. */
  #onFreshDocker(then: () => void): void {
    this.pod.writeFence(0 as MonoMs);
    const look = (): void => {
      if (this.pod.isDockerUp) this.after(200, look);
      else then();
    };
    this.after(200, look);
  }

  #open(session: Session): void {
    this.world.say(this.pod, `opens session ${session.sid} inc ${session.inc}`);
    this.session = session;
    this.phase = "up";
    this.#settle();
    const { renewMs } = this.world.timings;
    this.every(renewMs, () => this.#renew());
    this.every(POLL_MS, () => this.#poll());
    this.every(LIST_MS, () => this.#list());
    this.leader.begin();
  }

  // O1, O1' and what follows from them.

  #renew(): void {
    const { session } = this;
    if (session === undefined || this.phase !== "up") return;
    const sentAt = this.pod.mono();
    if (!this.#renewing) {
      this.#renewing = true;
      const operation = renewSession(session.sid, session.inc, this.isDraining);
      this.world.checker.sent(operation, session.inc);
      this.apply(operation, (outcome) => {
        this.#renewing = false;
        if (this.session === undefined) return;
        this.session = afterRenewal(this.session, sentAt, outcome ?? "unknown");
        this.#settle();
      });
    }
    if (!this.#leasing && isLeaseDue(session, sentAt, this.world.timings)) this.#renewLease(sentAt);
    this.#settle();
  }

  #renewLease(sentAt: MonoMs): void {
    const { session } = this;
    if (session === undefined) return;
    this.#leasing = true;
    if (!this.#knowsLease) return this.#readLease();
    const write = renewLease({ sid: session.sid, inc: session.inc, incarnation: this.incarnation }, this.#leaseVersion);
    this.ask(
      "kube",
      () => this.world.kube.write(write),
      (reply) => {
        if (reply?.kind === "conflict") return this.#readLease();
        this.#leasing = false;
        if (reply !== undefined) this.#leaseVersion = reply.version;
        this.#afterLease(sentAt, reply === undefined ? "unknown" : "renewed");
      },
      "write",
    );
  }

  #readLease(): void {
    const { session } = this;
    if (session === undefined) return;
    this.ask(
      "kube",
      () => ({ found: this.world.kube.get(session.sid) }),
      (reply) => {
        this.#leasing = false;
        if (reply === undefined) return;
        const isFirst = !this.#knowsLease;
        this.#knowsLease = true;
        this.#leaseVersion = reply.found?.version;
        const judged =
          reply.found === undefined && isFirst ? "mine" : judgeLease(reply.found, { inc: session.inc, incarnation: this.incarnation });
        if (judged === "mine") this.#renewLease(this.pod.mono());
        else this.#afterLease(this.pod.mono(), judged);
      },
    );
  }

  #afterLease(sentAt: MonoMs, outcome: Parameters<typeof afterLeaseRenewal>[2]): void {
    if (this.session === undefined) return;
    if (outcome === "barred") this.world.coverage.count("lease barred");
    this.session = afterLeaseRenewal(this.session, sentAt, outcome);
    this.#settle();
  }

  /** The fence is told, and bots hear when the right to run them comes or goes. */
  #settle(): void {
    const { session, pod } = this;
    const { timings } = this.world;
    if (session === undefined || this.phase !== "up") return;
    if (session.lost !== undefined) return this.#end(session.lost);
    const deadline = fenceDeadline(session, timings);
    if (deadline !== undefined && (this.#writtenDeadline === undefined || deadline > this.#writtenDeadline)) {
      this.#writtenDeadline = deadline;
      pod.writeFence(deadline);
    }
    const mayRun = rightOf(session, pod.mono(), timings) !== "stop";
    if (mayRun === this.#mayRun) return;
    this.#mayRun = mayRun;
    for (const bot of this.#placements.keys()) this.visit(bot);
  }

  /** Fenced: it stops what is its own, then the process ends. Replaced: it stops nothing. */
  #end(lost: "ended" | "replaced"): void {
    this.phase = "ending";
    this.world.coverage.count(`session ${lost}`);
    this.world.say(this.pod, `session is ${lost}`);
    const leave = (): void => this.die(this.world.chance.between(500, 2_000));
    if (lost === "replaced") return leave();
    this.after(12_000, leave);
    this.pod.list(
      this.mine((answer) => {
        if (!answer.ok) return leave();
        const running = answer.value.filter((c) => c.state === "running" && c.sid === this.session?.sid);
        let left = running.length;
        if (left === 0) return leave();
        for (const { bot, epoch } of running) this.#report(bot, epoch);
        for (const c of running)
          this.pod.stop(
            c,
            0,
            this.mine(() => --left === 0 && leave()),
          );
      }),
    );
  }

  /** SIGTERM. */
  drain(): void {
    if (this.phase !== "up" || this.session === undefined) return;
    this.isDraining = true;
    this.world.say(this.pod, "drains");
  }

  // Segments.

  #poll(): void {
    const { session } = this;
    const { mongo } = this.world;
    if (session === undefined || this.phase !== "up") return;
    const look = () => ({
      segments: mongo.segmentsAsOf(this.world.readsAt()).filter((s) => s.owner === session.sid || this.tenures.has(s._id)),
      placements: mongo.placements(),
      life: mongo.fleet()?.incarnation,
    });
    this.ask("mongo", look, (seen) => {
      this.#isStoreAway = seen === undefined;
      if (seen === undefined || this.session === undefined) return;
      this.session = afterLife(this.session, this.incarnation, seen.life);
      this.#settle();
      this.#meet(seen.segments, seen.placements);
    });
  }

  #meet(records: readonly SegmentRecord[], placements: readonly PlacementRecord[]): void {
    if (this.phase !== "up" || this.session === undefined) return;
    const { tenures, gained, leaving, lost } = meetSegments(this.tenures, records, {
      sid: this.session.sid,
      released: this.#released,
      isDraining: this.isDraining,
    });
    this.tenures = tenures;
    const changed = new Set([...gained, ...leaving, ...lost]);
    const before = this.#placements;
    this.#placements = new Map();
    for (const { _id, segment, active } of placements) {
      // A deactivation of ours may have landed long after it was given up, and after the user thought better of it.
      const isMistaken = !active && before.has(_id) && !this.world.checker.isDisabled(_id);
      if (isMistaken) this.apply(activate(_id), () => {});
      if ((active || isMistaken) && tenures.has(segment)) this.#placements.set(_id, segment);
      if (changed.has(segment) || before.has(_id) !== this.#placements.has(_id)) this.visit(_id);
      else if (this.#placements.has(_id) && this.world.checker.isDisabled(_id)) this.visit(_id);
    }
    for (const segment of leaving) this.world.checker.sawLeaving(this, segment, tenures.get(segment)?.epoch);
    for (const segment of gained) this.world.say(this.pod, `gains segment ${segment} epoch ${tenures.get(segment)?.epoch}`);
    this.#isComplete = true;
    this.#release();
    if (this.isDraining && tenures.size === 0 && this.session !== undefined)
      this.apply(stepDown(this.session.sid, this.session.inc, "gone"), (outcome) => {
        if (outcome === "won") this.world.checker.left(this);
      });
  }

  readonly #released = (segment: SegmentId): Epoch | undefined => this.pod.releasedIn(this.incarnation).get(segment);

  #release(): void {
    const quiet = this.#quiet();
    if (quiet.length === 0 || this.#releasing) return;
    this.#releasing = true;
    this.pod.list(
      this.mine((answer) => {
        this.#releasing = false;
        if (!answer.ok || this.phase !== "up") return;
        const { proven, left } = proveStopped(quiet, answer.value);
        for (const bot of left) this.visit(bot);
        const still = this.#quiet();
        for (const segment of proven) if (still.includes(segment)) this.#letGo(segment);
      }),
    );
  }

  #quiet(): SegmentId[] {
    return quietSegments(this.tenures, [...this.#visiting, ...this.#doubtful], (bot) => this.#placements.get(bot));
  }

  #letGo(segment: SegmentId): void {
    const epoch = this.tenures.get(segment)?.epoch;
    const { session } = this;
    if (epoch === undefined || session === undefined) return;
    this.pod.releasedIn(this.incarnation).set(segment, epoch);
    this.world.say(this.pod, `releases segment ${segment} epoch ${epoch}`);
    this.apply(releaseSegment(segment, epoch), (outcome) => {
      if (outcome === undefined || this.tenures.get(segment)?.epoch !== epoch) return;
      this.tenures = new Map([...this.tenures].filter(([id]) => id !== segment));
    });
  }

  // Bots.

  #list(): void {
    if (this.phase !== "up") return;
    this.pod.list(
      this.mine((answer) => {
        if (!answer.ok || !this.#isComplete || this.phase !== "up") return;
        const running = new Set<BotId>();
        for (const { bot, state, sid, epoch, segment } of answer.value) {
          const isRight =
            state === "running" && sid === this.session?.sid && this.tenures.get(segment)?.epoch === epoch && this.#placements.has(bot);
          if (isRight) running.add(bot);
          else this.visit(bot);
        }
        for (const bot of this.#placements.keys()) if (!running.has(bot)) this.visit(bot);
      }),
    );
  }

  /** An event of the engine, or anything else that makes a look worth while. */
  visit(bot: BotId): void {
    if (this.phase !== "up") return;
    if (this.#visiting.has(bot)) {
      this.#again.add(bot);
      return;
    }
    this.#visiting.add(bot);
    this.#step(bot, 0);
  }

  #leave(bot: BotId, retryMs?: number): void {
    this.#visiting.delete(bot);
    if (this.#again.delete(bot)) this.visit(bot);
    else if (retryMs !== undefined) this.after(retryMs, () => this.visit(bot));
  }

  #fail(bot: BotId): void {
    this.#doubtful.add(bot);
    this.#leave(bot, this.world.chance.between(RETRY_MS / 4, RETRY_MS));
  }

  #desired(bot: BotId): Desired | undefined {
    const segment = this.#placements.get(bot);
    const tenure = segment === undefined ? undefined : this.tenures.get(segment);
    const { session } = this;
    if (segment === undefined || tenure === undefined || session === undefined) return undefined;
    if (tenure.state === "leaving") return { want: "stop", why: "released" };
    if (!this.#mayRun) return { want: "stop", why: "draining" };
    if (this.world.checker.isDisabled(bot)) return { want: "stop", why: "disabled" };
    return { want: "run", spec: SPEC, hash: hash(), segment, epoch: tenure.epoch, sid: session.sid };
  }

  #step(bot: BotId, acts: number): void {
    if (this.phase !== "up" || acts > 12) return this.#leave(bot, RETRY_MS);
    this.pod.inspect(
      bot,
      this.mine((seen) => {
        if (!seen.ok) return this.#fail(bot);
        const desired = this.#desired(bot);
        if (desired === undefined && (!this.#isComplete || this.#isStoreAway)) return this.#done(bot, desired);
        const step = planBot(desired ?? STRANGER, seen.value, this.#memory.get(bot) ?? FRESH, this.pod.mono());
        const next = this.mine((answer: { readonly ok: boolean; readonly why?: string }) => {
          if (answer.ok || answer.why === "conflict" || answer.why === "gone") this.#step(bot, acts + 1);
          else this.#fail(bot);
        });
        switch (step?.kind) {
          case undefined:
            return this.#done(bot, desired);
          case "wait":
            this.#doubtful.delete(bot);
            return this.#leave(bot, step.until === undefined ? undefined : Math.max(1, step.until - this.pod.mono()));
          case "start":
            return this.#start(bot, desired, next);
          case "adopt":
            this.#memory.set(bot, afterAdoption(this.#memory.get(bot) ?? FRESH, step.container.spec, step.container.id, this.pod.mono()));
            return next({ ok: true });
          case "stop":
            this.#memory.set(bot, { ...(this.#memory.get(bot) ?? FRESH), stopping: step.why });
            this.#report(bot, step.container.epoch);
            return this.pod.stop(step.container, step.graceSeconds, next);
          case "reap": {
            const past = this.#memory.get(bot) ?? FRESH;
            const exit = step.container.exit;
            // What the fence or a dying dockerd took down is no crash of the bot's own.
            const isCrash = exit !== undefined && exit.code !== 137 && desired?.want === "run";
            if (isCrash) this.#memory.set(bot, afterExit(past, "always", exit, this.pod.mono(), this.world.chance.next).memory);
            else this.#memory.delete(bot);
            return this.pod.remove(step.container, next);
          }
          case "remove":
            return this.pod.remove(step.container, next);
        }
      }),
    );
  }

  /** The image has to come, and a slot has to be free: what was decided before that need not hold after it. */
  #start(bot: BotId, desired: Desired | undefined, next: (answer: { readonly ok: boolean; readonly why?: string }) => void): void {
    const { chance, dockerTrouble } = this.world;
    const { session } = this;
    if (desired?.want !== "run" || session === undefined || !this.#mayStart(desired.segment, desired.epoch))
      return this.#leave(bot, RETRY_MS);
    const labels: Labels = { bot, segment: desired.segment, epoch: desired.epoch, sid: session.sid };
    const waitMs = chance.is(0.1) ? 2_000 + dockerTrouble.slowMs / 2 : 100;
    this.after(chance.between(0, waitMs), () => {
      if (!this.#mayStart(labels.segment, labels.epoch)) return this.#leave(bot, RETRY_MS);
      this.world.checker.starting(this, labels.segment, labels.epoch);
      this.pod.create(
        labels,
        this.mine((made) => (made.ok ? this.#startMade(labels, made.value, next) : next(made))),
      );
    });
  }

  #startMade(labels: Labels, made: ContainerId, next: (answer: { readonly ok: boolean; readonly why?: string }) => void): void {
    this.pod.start(
      made,
      this.mine((begun) => {
        if (begun.ok) {
          this.#memory.set(labels.bot, afterStart(this.#memory.get(labels.bot) ?? FRESH, hash(), made, this.pod.mono()));
          this.#report(labels.bot, labels.epoch);
        }
        // Whether it may still run is what the next look decides, by what is ours then.
        next(begun);
      }),
    );
  }

  /** O6. */
  #report(bot: BotId, epoch: Epoch): void {
    if (this.session !== undefined) this.apply(reportStatus(bot, epoch, this.session.sid, RUN_STATUS), () => {});
  }

  #mayStart(segment: SegmentId, epoch: Epoch): boolean {
    if (this.session === undefined || this.isDraining) return false;
    if (rightOf(this.session, this.pod.mono(), this.world.timings) !== "start") return false;
    return mayStartIn(this.tenures, this.#released, segment, epoch);
  }

  #done(bot: BotId, desired: Desired | undefined): void {
    this.#doubtful.delete(bot);
    const segment = this.#placements.get(bot);
    if (desired?.want === "stop" && desired.why === "disabled" && segment !== undefined)
      this.apply(deactivate(bot, segment, null), () => {});
    this.#leave(bot);
  }
}

const SPEC = aSpec();
