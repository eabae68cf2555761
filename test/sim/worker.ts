import type { BotId } from "../../src/core/ids.ts";
import type { Session } from "../../src/core/session.ts";
import { Announcement } from "./announcement.ts";
import { SimBots } from "./bots.ts";
import { Holdings } from "./holdings.ts";
import { SimLeader } from "./leader.ts";
import { Lifeline } from "./lifeline.ts";
import type { Pod } from "./pod.ts";
import { SimProcess } from "./process.ts";
import type { World } from "./world.ts";

const POLL_MS = 1_000;
const LIST_MS = 10_000;
const PROOF_MS = 500;
/** How long the process of a lost session tries to stop its bots. */
const LEAVE_MS = 12_000;

/** The worker processes of one pod, one after another: thin loops that ask the core what to do, and do it. */
export class SimWorker extends SimProcess {
  readonly fleet: string;
  readonly leader: SimLeader;
  phase: "off" | "starting" | "up" | "ending" = "off";
  isDraining = false;
  isGivingUp = false;
  incarnation = "";
  lifeline: Lifeline | undefined;
  holdings: Holdings | undefined;
  #bots: SimBots;

  constructor(world: World, pod: Pod, fleet: string) {
    super(world, pod);
    this.fleet = fleet;
    this.leader = new SimLeader(this);
    this.#bots = new SimBots(this);
  }

  get session(): Session | undefined {
    return this.lifeline?.session;
  }

  boot(): void {
    if (this.pod.isLost || this.phase !== "off") return;
    this.begin();
    this.phase = "starting";
    this.isDraining = false;
    this.isGivingUp = false;
    this.lifeline = undefined;
    this.holdings = undefined;
    this.#bots = new SimBots(this);
    this.leader.reset();
    new Announcement(this, (session, incarnation) => this.#open(session, incarnation)).claim();
  }

  /** SIGKILL, or an end of its own accord; the kubelet starts the next one. */
  die(backInMs: number | undefined): void {
    if (this.phase === "off") return;
    this.phase = "off";
    this.end();
    if (backInMs !== undefined) this.world.scheduler.after(backInMs, () => this.boot());
  }

  /** SIGTERM. */
  drain(): void {
    if (this.phase !== "up") return;
    this.isDraining = true;
    this.world.say(this.pod, "drains");
  }

  /** A headless worker stops its bots, while its Lease is still renewed, and then its process ends. */
  giveUp(): void {
    if (this.isGivingUp || this.phase !== "up") return;
    this.isGivingUp = true;
    this.world.coverage.count("headless gave up");
    this.world.say(this.pod, "gives up");
    this.world.checker.gaveUp(this);
    const leave = (): void => this.die(this.world.chance.between(500, 2_000));
    this.after(LEAVE_MS, leave);
    const look = (): void =>
      this.pod.list(
        this.mine((answer) => {
          const isOver = answer.ok && this.busy().length === 0 && !answer.value.some((c) => c.sid === this.session?.sid);
          if (isOver) leave();
          else this.after(PROOF_MS, look);
        }),
      );
    look();
  }

  #open(session: Session, incarnation: string): void {
    this.world.say(this.pod, `opens session ${session.sid} inc ${session.inc}`);
    const lifeline = new Lifeline(this, session, incarnation);
    const holdings = new Holdings(this, incarnation);
    this.incarnation = incarnation;
    this.lifeline = lifeline;
    this.holdings = holdings;
    this.phase = "up";
    lifeline.settle();
    this.every(this.world.timings.renewMs, () => lifeline.renew());
    this.every(POLL_MS, () => holdings.poll());
    this.every(LIST_MS, () => this.#list(holdings));
    this.leader.begin();
  }

  /** Fenced: it stops what is its own, then the process ends. Replaced: it stops nothing. */
  endSession(lost: "ended" | "replaced"): void {
    this.phase = "ending";
    this.world.coverage.count(`session ${lost}`);
    this.world.say(this.pod, `session is ${lost}`);
    const leave = (): void => this.die(this.world.chance.between(500, 2_000));
    if (lost === "replaced") return leave();
    this.after(LEAVE_MS, leave);
    this.pod.list(
      this.mine((answer) => {
        if (!answer.ok) return leave();
        const running = answer.value.filter((c) => c.state === "running" && c.sid === this.session?.sid);
        let left = running.length;
        if (left === 0) return leave();
        for (const { bot, epoch } of running) this.#bots.report(bot, epoch);
        const stopped = this.mine(() => --left === 0 && leave());
        for (const container of running) this.pod.stop(container, 0, stopped);
      }),
    );
  }

  visit(bot: BotId): void {
    this.#bots.visit(bot);
  }

  visitAll(): void {
    for (const bot of this.holdings?.placements.keys() ?? []) this.visit(bot);
  }

  busy(): BotId[] {
    return this.#bots.busy();
  }

  #list(holdings: Holdings): void {
    if (this.phase !== "up") return;
    this.pod.list(
      this.mine((answer) => {
        const { isComplete, tenures, placements } = holdings;
        if (!answer.ok || !isComplete || this.phase !== "up") return;
        const running = new Set<BotId>();
        for (const { bot, state, sid, epoch, segment } of answer.value) {
          const isRight = state === "running" && sid === this.session?.sid && tenures.get(segment)?.epoch === epoch && placements.has(bot);
          if (isRight) running.add(bot);
          else this.visit(bot);
        }
        for (const bot of placements.keys()) if (!running.has(bot)) this.visit(bot);
      }),
    );
  }
}
