import type { MonoMs } from "../../src/core/clock.ts";
import { type Headless, mustGiveUp, observeHeadless } from "../../src/core/headless.ts";
import { judgeLease, renewLease } from "../../src/core/lease.ts";
import { renewSession } from "../../src/core/operations.ts";
import { afterLeaseRenewal, afterLife, afterRenewal, fenceDeadline, isLeaseDue, rightOf, type Session } from "../../src/core/session.ts";
import type { SimWorker } from "./worker.ts";

/** Keeps a session alive in both stores (O1, O1'), and tells the fence and the worker what follows. */
export class Lifeline {
  session: Session;
  /** Whether bots may run. */
  mayRun = false;
  readonly #worker: SimWorker;
  readonly #incarnation: string;
  #isRenewing = false;
  #isLeasing = false;
  #leaseVersion: string | undefined;
  #knowsLease = false;
  #written: MonoMs | undefined;
  #headless: Headless | undefined;

  constructor(worker: SimWorker, session: Session, incarnation: string) {
    this.#worker = worker;
    this.session = session;
    this.#incarnation = incarnation;
  }

  renew(): void {
    const worker = this.#worker;
    if (worker.phase !== "up") return;
    const { session } = this;
    const sentAt = worker.pod.mono();
    if (!this.#isRenewing) {
      this.#isRenewing = true;
      const operation = renewSession(session.sid, session.inc, worker.isDraining);
      worker.world.checker.sent(operation, session.inc);
      worker.apply(operation, (outcome) => {
        this.#isRenewing = false;
        this.session = afterRenewal(this.session, sentAt, outcome ?? "unknown");
        this.settle();
      });
    }
    if (!this.#isLeasing && isLeaseDue(session, sentAt, worker.world.timings)) this.#renewLease(sentAt);
    this.#lookHeadless(sentAt);
    this.settle();
  }

  #lookHeadless(now: MonoMs): void {
    const { leader, world } = this.#worker;
    this.#headless = observeHeadless(this.#headless, this.session, leader.sight, now, world.timings);
    if (this.#headless !== undefined && mustGiveUp(this.#headless, now, world.headlessMs)) this.#worker.giveUp();
  }

  /** The database's incarnation was read. */
  sawLife(found: string | undefined): void {
    this.session = afterLife(this.session, this.#incarnation, found);
    this.settle();
  }

  #renewLease(sentAt: MonoMs): void {
    const { kube } = this.#worker.world;
    this.#isLeasing = true;
    if (!this.#knowsLease) return this.#readLease();
    const { sid, inc } = this.session;
    const write = renewLease({ sid, inc, incarnation: this.#incarnation }, this.#leaseVersion);
    const done = (reply: ReturnType<typeof kube.write> | undefined): void => {
      if (reply?.kind === "conflict") return this.#readLease();
      this.#isLeasing = false;
      if (reply !== undefined) this.#leaseVersion = reply.version;
      this.#afterLease(sentAt, reply === undefined ? "unknown" : "renewed");
    };
    this.#worker.ask("kube", () => kube.write(write), done, "write");
  }

  #readLease(): void {
    const { kube } = this.#worker.world;
    const { sid, inc } = this.session;
    const done = (reply: { readonly found: ReturnType<typeof kube.get> } | undefined): void => {
      this.#isLeasing = false;
      if (reply === undefined) return;
      const isFirst = !this.#knowsLease;
      this.#knowsLease = true;
      this.#leaseVersion = reply.found?.version;
      const judged = reply.found === undefined && isFirst ? "mine" : judgeLease(reply.found, { inc, incarnation: this.#incarnation });
      if (judged === "mine") this.#renewLease(this.#worker.pod.mono());
      else this.#afterLease(this.#worker.pod.mono(), judged);
    };
    this.#worker.ask("kube", () => ({ found: kube.get(sid) }), done);
  }

  #afterLease(sentAt: MonoMs, outcome: Parameters<typeof afterLeaseRenewal>[2]): void {
    if (outcome === "barred") this.#worker.world.coverage.count("lease barred");
    this.session = afterLeaseRenewal(this.session, sentAt, outcome);
    this.settle();
  }

  /** The fence is told, and bots hear when the right to run them comes or goes. */
  settle(): void {
    const { pod, phase, world } = this.#worker;
    const { session } = this;
    if (phase !== "up") return;
    if (session.lost !== undefined) return this.#worker.endSession(session.lost);
    const deadline = fenceDeadline(session, world.timings);
    if (deadline !== undefined && (this.#written === undefined || deadline > this.#written)) {
      this.#written = deadline;
      pod.writeFence(deadline);
    }
    const mayRun = !this.#worker.isGivingUp && rightOf(session, pod.mono(), world.timings) !== "stop";
    if (mayRun === this.mayRun) return;
    this.mayRun = mayRun;
    this.#worker.visitAll();
  }
}
