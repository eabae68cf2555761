import { EventEmitter } from "node:events";
import { expect } from "chai";
import { StoreUnreachableError } from "../../../src/core/errors.ts";
import type { ContainerId } from "../../../src/core/ids.ts";
import type { LeaderEvents } from "../../../src/leader/events.ts";
import type { Log } from "../../../src/telemetry/log.ts";
import { Metrics } from "../../../src/telemetry/metrics.ts";
import { Outages, tellLeader, tellWorker } from "../../../src/telemetry/subscribe.ts";
import type { WorkerEvents } from "../../../src/worker/events.ts";
import { bot } from "../../support/builders.ts";

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

  it("counts the gap of a start that ends a hand-over, and of no other", async () => {
    const log: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
    const metrics = new Metrics({ version: "0", node: "v0" });
    const worker = new EventEmitter<WorkerEvents>();
    tellWorker(worker, log, metrics, new Outages(log, metrics));
    const started = { bot: bot(), container: "c1" as ContainerId, why: "new", tookMs: 400 } as const;
    expect(await metrics.registry.metrics()).to.match(/^botrunner_handover_gap_seconds_count 0$/m);
    worker.emit("bot:started", { ...started, gapMs: undefined });
    worker.emit("bot:started", { ...started, gapMs: 700 });
    expect(await metrics.registry.metrics())
      .to.match(/^botrunner_handover_gap_seconds_count 1$/m)
      .and.to.match(/^botrunner_handover_gap_seconds_sum 0.7$/m);
  });

  describe("of the whole fleet", () => {
    const figures = { total_segments: 5, assigned_segments: 4, orphaned_segments: 1, available_workers: 3, segment_backlog: 2 };
    const observed = { figures, shared: 2, invalid: 7, handOverMs: 1_500 };
    let metrics: Metrics;
    let leader: EventEmitter<LeaderEvents>;
    const page = () => metrics.registry.metrics();
    beforeEach(() => {
      const log: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
      metrics = new Metrics({ version: "0", node: "v0" });
      leader = new EventEmitter<LeaderEvents>();
      tellLeader(leader, log, metrics, new Outages(log, metrics));
    });

    it("exports nothing before the first full observation", async () => {
      leader.emit("leader:elected", { term: 1 });
      expect(await page())
        .to.match(/^botrunner_leader 1$/m)
        .and.not.to.match(/^botrunner_(segments|workers|handover_oldest)/m);
    });

    it("exports what the leader observes", async () => {
      leader.emit("figures:observed", observed);
      const text = await page();
      const wanted = { segments: 5, segments_assigned: 4, segments_orphaned: 1, segments_backlog: 2, segments_shared: 2 };
      for (const [name, value] of Object.entries({ ...wanted, workers_available: 3, handover_oldest_seconds: 1.5 }))
        expect(text).to.match(new RegExp(`^botrunner_${name} ${value}$`, "m"));
      expect(text).to.match(/^botrunner_bots\{state="invalid"\} 7$/m);
    });

    it("takes all of it back with the leadership: a successor's figures would be counted beside it", async () => {
      leader.emit("figures:observed", observed);
      leader.emit("scaling:observed", { desired: 6, min: 3, max: 40, foreign: false });
      leader.emit("leader:resigned", { term: 1 });
      expect(await page())
        .to.match(/^botrunner_bots\{state="invalid"\} 0$/m)
        .and.not.to.match(/^botrunner_(segments|workers|handover_oldest|replicas|foreign)/m);
      leader.emit("figures:observed", observed);
      expect(await page()).to.match(/^botrunner_segments 5$/m);
    });
  });
});
