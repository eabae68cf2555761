import type { MonoMs } from "../../src/core/clock.ts";
import { type ClaimVerdict, decideClaim } from "../../src/core/claim.ts";
import { continueSession, stepDown } from "../../src/core/operations.ts";
import type { FleetRecord, WorkerRecord } from "../../src/core/records.ts";
import { planRegistration } from "../../src/core/registration.ts";
import { openSession, type Session } from "../../src/core/session.ts";
import type { SimWorker } from "./worker.ts";

type Seen = { readonly held: FleetRecord | undefined; readonly workers: WorkerRecord[] };

/** How a process comes by its session: it looks whose database it is, announces itself (O0), and looks again. */
export class Announcement {
  readonly #worker: SimWorker;
  readonly #onOpen: (session: Session, incarnation: string) => void;
  #announced: Session | undefined;
  #incarnation = "";

  constructor(worker: SimWorker, onOpen: (session: Session, incarnation: string) => void) {
    this.#worker = worker;
    this.#onOpen = onOpen;
  }

  claim(): void {
    const worker = this.#worker;
    this.#judge((verdict, seen) => {
      const again = (): void => worker.retry(() => this.claim());
      if (verdict.kind === "insert")
        return worker.ask("mongo", () => worker.world.mongo.insert("control", { ...verdict.record }), again, "write");
      if (verdict.kind === "adopt") return worker.apply(verdict.operation, again);
      this.#incarnation = seen.held?.incarnation ?? "";
      return this.#register(seen.workers);
    });
  }

  #judge(then: (verdict: Exclude<ClaimVerdict, { kind: "refuse" }>, seen: Seen) => void): void {
    const worker = this.#worker;
    const { mongo, chance, coverage } = worker.world;
    const look = (): Seen => ({ held: mongo.fleet(), workers: mongo.workers() });
    worker.ask("mongo", look, (seen) => {
      // A second fleet is set up beside one that is there; who is first in an empty database owns it.
      if (seen === undefined || (seen.workers.length === 0 && worker.fleet !== "ours")) return worker.retry(() => this.#judge(then));
      const incarnation = `life-${Math.floor(chance.next() * 1e9)}`;
      const mine: FleetRecord = { _id: "fleet", owner: worker.fleet, coordination: "kubernetes", schema: 1, incarnation };
      const verdict = decideClaim({ ...seen, mine, oldFleetIsStopped: false });
      coverage.count(`claim ${verdict.kind}`);
      if (verdict.kind !== "refuse") return then(verdict, seen);
      worker.world.say(worker.pod, "finds the database with another fleet");
      if (this.#announced !== undefined) worker.apply(stepDown(this.#announced.sid, this.#announced.inc, "gone"), () => {});
      return worker.die(worker.fleet === "ours" ? chance.between(500, 2_000) : undefined);
    });
  }

  #register(workers: readonly WorkerRecord[]): void {
    const worker = this.#worker;
    const plan = planRegistration(worker.pod.uid, workers);
    if (plan.kind === "open") return this.#onFreshDocker(() => this.#insert(plan.sid));
    const { _id: sid, inc } = plan.record;
    const sentAt = worker.pod.mono();
    const operation = continueSession(sid, inc);
    worker.world.checker.sent(operation, inc + 1);
    worker.apply(operation, (outcome) => {
      if (outcome !== "won") return worker.retry(() => this.claim());
      this.#announce(openSession(sid, inc + 1, sentAt));
    });
  }

  #insert(_id: Session["sid"]): void {
    const worker = this.#worker;
    const { mongo, timings, coverage } = worker.world;
    const own = { pod: worker.pod.uid, node: "", fleet: worker.fleet, fenceMs: timings.fenceMs };
    const record: WorkerRecord = { _id, inc: 1, hbSeq: 0, state: "up", proto: 1, capacity: 500, ...own };
    const sentAt = worker.pod.mono();
    const done = (reply: "inserted" | "exists" | undefined): void => {
      coverage.count(`O0 open ${reply ?? "unknown"}`);
      // After a lost reply the record stands, and the next look goes on with it.
      if (reply !== "inserted") return worker.retry(() => this.claim());
      this.#announce(openSession(_id, 1, sentAt));
    };
    worker.ask("mongo", () => mongo.insert("workers", record), done, "write");
  }

  /** Before anything is run under it: whether another fleet came at the same moment. */
  #announce(session: Session): void {
    this.#announced = session;
    this.#judge((verdict, seen) => {
      if (verdict.kind === "ours" && seen.held?.incarnation === this.#incarnation) this.#onOpen(session, this.#incarnation);
      else this.#worker.die(this.#worker.world.chance.between(500, 2_000));
    });
  }

  /** A new session begins when the fence has killed what an earlier one may have left, calls in dockerd's hands too. */
  #onFreshDocker(then: () => void): void {
    const { pod } = this.#worker;
    pod.writeFence(0 as MonoMs);
    const look = (): void => {
      if (pod.isDockerUp) this.#worker.after(200, look);
      else then();
    };
    this.#worker.after(200, look);
  }
}
