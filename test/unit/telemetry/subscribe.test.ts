import { EventEmitter } from "node:events";
import { expect } from "chai";
import { StoreUnreachableError } from "../../../src/core/errors.ts";
import type { LeaderEvents } from "../../../src/leader/events.ts";
import type { Log } from "../../../src/telemetry/log.ts";
import { Metrics } from "../../../src/telemetry/metrics.ts";
import { Outages, tellLeader, tellWorker } from "../../../src/telemetry/subscribe.ts";
import type { WorkerEvents } from "../../../src/worker/events.ts";

describe("telemetry/subscribe", () => {
  it("tells each outage of a store once, however many loops of leader and worker see it, and each end", () => {
    const told: string[] = [];
    const note = (sentence: string): void => void told.push(sentence);
    const log: Log = { debug: () => {}, info: note, warn: note, error: note };
    const metrics = new Metrics({ version: "0", node: "v0" });
    const outages = new Outages(log, metrics);
    const [worker, leader] = [new EventEmitter<WorkerEvents>(), new EventEmitter<LeaderEvents>()];
    tellWorker(worker, log, metrics, outages);
    tellLeader(leader, log, metrics, outages);
    const error = new StoreUnreachableError("Cannot reach MongoDB");
    // Before the first answer there is nothing to lose.
    leader.emit("round:failed", { loop: "admission", error });
    worker.emit("session:renewed", { store: "mongodb" });
    for (let outage = 0; outage < 2; outage++) {
      leader.emit("round:failed", { loop: "admission", error });
      worker.emit("round:failed", { loop: "heartbeat", error });
      worker.emit("session:renewed", { store: "mongodb" });
    }
    const once = ["Lost touch: bots run on, changes wait", "In touch again"];
    expect(told).to.deep.equal([...once, ...once]);
  });
});
