import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import { BOT_STATES } from "../core/bot.ts";
import type { Figures } from "../core/figures.ts";

const EXIT_REASONS = ["completed", "failed", "crashed", "stopped", "lost"] as const;
const START_REASONS = ["new", "changed", "crashed", "lost"] as const;

/** Every metric of one process, on a registry of its own. Series exist at zero; the leader's exist only while it leads. */
export class Metrics {
  readonly registry = new Registry();
  readonly #registers = [this.registry];
  readonly bots = new Gauge({
    name: "botrunner_bots",
    help: "Bots of this worker by state; the leader counts the invalid ones of the whole fleet.",
    labelNames: ["state"],
    registers: this.#registers,
  });
  readonly botsMax = new Gauge({
    name: "botrunner_worker_bots_max",
    help: "Bots over which this worker takes no further segment.",
    registers: this.#registers,
  });
  readonly starts = new Counter({
    name: "botrunner_bot_starts_total",
    help: "Bots started, by reason.",
    labelNames: ["reason"],
    registers: this.#registers,
  });
  readonly exits = new Counter({
    name: "botrunner_bot_exits_total",
    help: "Runs of bots that ended, by reason.",
    labelNames: ["reason"],
    registers: this.#registers,
  });
  readonly startSeconds = new Histogram({
    name: "botrunner_bot_start_duration_seconds",
    help: "Time from the decision to start a bot until it runs, image and queue included.",
    buckets: [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
    registers: this.#registers,
  });
  readonly gapSeconds = new Histogram({
    name: "botrunner_handover_gap_seconds",
    help: "How long bots stood still that another worker had stopped to hand them over, by both machines' clocks.",
    buckets: [0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120],
    registers: this.#registers,
  });
  readonly reconcileSeconds = new Histogram({
    name: "botrunner_reconcile_duration_seconds",
    help: "Time to compare all containers with what should run.",
    buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
    registers: this.#registers,
  });
  readonly visitFaults = new Counter({
    name: "botrunner_bot_faults_total",
    help: "Looks at a bot that ended in a fault and were repeated.",
    registers: this.#registers,
  });
  readonly heldNames = new Counter({
    name: "botrunner_bot_names_held_total",
    help: "Bots kept from starting for a minute by a container name that the Docker Engine does not let go.",
    registers: this.#registers,
  });
  readonly silentStreams = new Counter({
    name: "botrunner_engine_silent_streams_total",
    help: "Event streams of the Docker Engine that had fallen silent and were opened anew.",
    registers: this.#registers,
  });
  readonly engineRestarts = new Counter({
    name: "botrunner_engine_restarts_total",
    help: "Times the Docker Engine was restarted with all bots behind the fence, because it hung and ownership waited for it.",
    registers: this.#registers,
  });
  readonly storeUp = new Gauge({
    name: "botrunner_store_up",
    help: "Whether the last call to a store succeeded.",
    labelNames: ["store"],
    registers: this.#registers,
  });
  readonly leader = new Gauge({ name: "botrunner_leader", help: "Whether this process leads.", registers: this.#registers });
  readonly leaderChanges = new Counter({
    name: "botrunner_leader_changes_total",
    help: "Times this process saw leadership change.",
    registers: this.#registers,
  });
  #leading: Gauge[] | undefined;
  #scaling: Gauge[] | undefined;

  /** `stores`: those that this process has. */
  constructor(build: { readonly version: string; readonly node: string }, stores: readonly string[] = ["mongodb", "docker"]) {
    const info = new Gauge({
      name: "botrunner_build_info",
      help: "Always 1; the labels say what runs.",
      labelNames: ["version", "node"],
      registers: this.#registers,
    });
    info.set(build, 1);
    for (const state of BOT_STATES) this.bots.set({ state }, 0);
    for (const reason of START_REASONS) this.starts.inc({ reason }, 0);
    for (const reason of EXIT_REASONS) this.exits.inc({ reason }, 0);
    for (const store of stores) this.storeUp.set({ store }, 0);
    collectDefaultMetrics({ register: this.registry });
    // Client library names that end in _total without being counters: `promtool check metrics` refuses them.
    for (const name of ["nodejs_active_handles_total", "nodejs_active_requests_total", "nodejs_active_resources_total"])
      this.registry.removeSingleMetric(name);
  }

  /** The leader's view. The series come with the first full observation and go with the leadership. */
  setFleet(figures: Figures, { shared, handOverMs }: { readonly shared: number; readonly handOverMs: number }): void {
    this.#leading ??= [
      ["botrunner_segments", "Active segments: those with a bot that should run."],
      ["botrunner_segments_assigned", "Active segments with a living owner."],
      ["botrunner_segments_orphaned", "Active segments whose last owner is dead."],
      ["botrunner_segments_backlog", "Active segments minus workers that own at least one."],
      ["botrunner_workers_available", "Living workers without the leader, or with it if it is alone."],
      ["botrunner_segments_shared", "Active segments whose owner has more than one."],
      ["botrunner_handover_oldest_seconds", "How long the oldest hand-over of a segment has stood, as this leader has seen it."],
    ].map(([name = "", help = ""]) => new Gauge({ name, help, registers: this.#registers }));
    const values = [
      figures.total_segments,
      figures.assigned_segments,
      figures.orphaned_segments,
      figures.segment_backlog,
      figures.available_workers,
      shared,
      handOverMs / 1_000,
    ];
    for (const [i, gauge] of this.#leading.entries()) gauge.set(values[i] ?? 0);
  }

  /** Where there is a lease and a fence: read when they are asked for. */
  watchFence({ remainingMs, trips }: { readonly remainingMs: () => number; readonly trips: () => number }): void {
    const registers = this.#registers;
    const remaining: Gauge = new Gauge({
      name: "botrunner_lease_remaining_seconds",
      help: "How long bots may still run without another renewal.",
      registers,
      collect: () => remaining.set(remainingMs() / 1_000),
    });
    const tripped: Counter = new Counter({
      name: "botrunner_fence_trips_total",
      help: "Times the fence has killed all bots.",
      registers,
      collect: () => {
        tripped.reset();
        tripped.inc(trips());
      },
    });
  }

  /** Where a session lives in two stores: read when it is asked for. */
  watchHeadless(headlessMs: () => number): void {
    const headless: Gauge = new Gauge({
      name: "botrunner_headless_seconds",
      help: "How long MongoDB has not confirmed this worker, which lives by its Lease; 0 otherwise.",
      registers: this.#registers,
      collect: () => headless.set(headlessMs() / 1_000),
    });
  }

  /** What the fleet's size should be, from the leader only. */
  setScaling({ desired, min, max, foreign }: { desired: number; min: number; max: number; foreign: boolean }): void {
    this.#scaling ??= [
      ["botrunner_replicas_desired", "Replicas that the segments need, within the bounds."],
      ["botrunner_replicas_min", "Least number of replicas."],
      ["botrunner_replicas_max", "Greatest number of replicas."],
      ["botrunner_foreign_scaler", "Whether somebody else writes the number of replicas."],
    ].map(([name = "", help = ""]) => new Gauge({ name, help, registers: this.#registers }));
    for (const [i, gauge] of this.#scaling.entries()) gauge.set([desired, min, max, Number(foreign)][i] ?? 0);
  }

  clearFleet(): void {
    for (const name of ["replicas_desired", "replicas_min", "replicas_max", "foreign_scaler"])
      this.registry.removeSingleMetric(`botrunner_${name}`);
    this.#scaling = undefined;
    for (const name of ["", "_assigned", "_orphaned", "_backlog", "_shared"]) this.registry.removeSingleMetric(`botrunner_segments${name}`);
    for (const name of ["workers_available", "handover_oldest_seconds"]) this.registry.removeSingleMetric(`botrunner_${name}`);
    // What every worker has, but only a leader knows of: a figure of the past would be counted beside its successor's.
    this.bots.set({ state: "invalid" }, 0);
    this.#leading = undefined;
  }
}
