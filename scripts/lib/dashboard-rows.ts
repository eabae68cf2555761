import type { Row } from "./dashboard.ts";

/** Of a histogram, over all pods. */
const quantile = (q: number, histogram: string) => ({
  expr: `histogram_quantile(${q}, sum by (le) (rate(${histogram}_bucket{S}[$__rate_interval])))`,
  legend: `p${q * 100}`,
});
const quantiles = (histogram: string) => [quantile(0.5, histogram), quantile(0.99, histogram)];
const rateBy = (label: string, counter: string) => ({
  expr: `sum by (${label}) (rate(${counter}{S}[$__rate_interval]))`,
  legend: `{{${label}}}`,
});
/** What the leader alone tells: two of them never add up. */
const figure = (name: string, legend: string) => ({ expr: `max(botrunner_${name}{S})`, legend });

export const DASHBOARD_ROWS: readonly Row[] = [
  {
    title: "Fleet",
    panels: [
      {
        title: "Leaders",
        about: "1. For some seconds 0 when the leader was lost: bots do not notice.",
        as: "number",
        queries: [{ expr: "sum(botrunner_leader{S})", legend: "" }],
      },
      {
        title: "Pods",
        about: "Pods that answer Prometheus.",
        as: "number",
        queries: [{ expr: "count(botrunner_build_info{S})", legend: "" }],
      },
      {
        title: "Bots running",
        about: "Containers that run, on all workers.",
        as: "number",
        queries: [{ expr: 'sum(botrunner_bots{S, state="running"})', legend: "" }],
      },
      {
        title: "Bots that should run and do not",
        about: "Waiting for a start, an image or another try, or with a document that cannot run.",
        as: "number",
        queries: [{ expr: 'sum(botrunner_bots{S, state=~"pending|starting|backoff|invalid"})', legend: "" }],
      },
      {
        title: "Orphaned segments",
        about: "Their worker is dead and nobody has them yet. 0, but for a second or two after a loss.",
        as: "number",
        queries: [figure("segments_orphaned", "")],
      },
      {
        title: "Versions",
        about: "Pods by version: two only during an upgrade.",
        as: "number",
        queries: [{ expr: "count by (version) (botrunner_build_info{S})", legend: "{{version}}" }],
      },
    ],
  },
  {
    title: "Segments and scaling",
    panels: [
      {
        title: "Segments",
        about: "Backlog: active segments without a worker of their own. Shared: on workers that have more than one.",
        queries: [
          figure("segments", "active"),
          figure("segments_assigned", "assigned"),
          figure("segments_backlog", "backlog"),
          figure("segments_shared", "shared"),
        ],
      },
      {
        title: "Replicas",
        about: "Wanted by the leader: one for each active segment and one that leads, within the bounds.",
        queries: [figure("replicas_desired", "wanted"), figure("replicas_min", "least"), figure("replicas_max", "greatest")],
      },
      {
        title: "Workers",
        about: "Living sessions without the leader. More than there are active segments: some of them stand by.",
        queries: [figure("workers_available", "available")],
      },
      {
        title: "Somebody else scales",
        about: "1: the leader has stopped scaling, for another one writes the number of replicas.",
        as: "number",
        queries: [figure("foreign_scaler", "")],
      },
    ],
  },
  {
    title: "Workers",
    panels: [
      {
        title: "Bots of each worker",
        about: "Very uneven: some segments have many more bots than others.",
        queries: [{ expr: 'sum by (pod) (botrunner_bots{S, state="running"})', legend: "{{pod}}" }],
      },
      {
        title: "Time left without another renewal",
        about: "Falls between two renewals and rises with each. At 0 the fence kills the worker's bots.",
        unit: "s",
        queries: [{ expr: "min by (pod) (botrunner_lease_remaining_seconds{S})", legend: "{{pod}}" }],
      },
      {
        title: "Stores that every pod reaches",
        about: "0: at least one pod does not reach it. Its bots run on, see the runbooks.",
        queries: [{ expr: "min by (store) (botrunner_store_up{S})", legend: "{{store}}" }],
      },
      {
        title: "Time without MongoDB's word",
        about: "The worker lives by its Lease alone. After 15 min of it, while the leader reaches MongoDB, it gives its bots up.",
        unit: "s",
        queries: [{ expr: "max by (pod) (botrunner_headless_seconds{S})", legend: "{{pod}}" }],
      },
      {
        title: "Comparing what runs with what should",
        about: "How long a list of all containers takes. Slow: the Docker Engine is.",
        unit: "s",
        queries: quantiles("botrunner_reconcile_duration_seconds"),
      },
      {
        title: "Trouble with Docker Engines",
        about: "Hung ones that were restarted with their bots, event streams that fell silent, names that are not let go.",
        queries: [
          { expr: "sum(increase(botrunner_engine_restarts_total{S}[15m]))", legend: "restarts" },
          { expr: "sum(increase(botrunner_engine_silent_streams_total{S}[15m]))", legend: "silent streams" },
          { expr: "sum(increase(botrunner_bot_names_held_total{S}[15m]))", legend: "held names" },
        ],
      },
    ],
  },
  {
    title: "Bots",
    panels: [
      {
        title: "Bots by state",
        about: "Many in backoff: they crash, or their images cannot be had.",
        queries: [{ expr: "sum by (state) (botrunner_bots{S})", legend: "{{state}}" }],
      },
      {
        title: "Starts a second, by reason",
        about: "lost: their Engine died, or a new owner starts what a dead one left.",
        queries: [rateBy("reason", "botrunner_bot_starts_total")],
      },
      {
        title: "Ends a second, by reason",
        about: "crashed and failed are the bots' own doing, stopped is ours.",
        queries: [rateBy("reason", "botrunner_bot_exits_total")],
      },
      {
        title: "Time of a start",
        about: "From the decision until it runs, with the wait for its image and its turn.",
        unit: "s",
        queries: quantiles("botrunner_bot_start_duration_seconds"),
      },
      {
        title: "Looks at bots that failed, a second",
        about: "Repeated by themselves. Many for long: the Engine or MongoDB is slow or away.",
        queries: [rateBy("pod", "botrunner_bot_faults_total")],
      },
    ],
  },
  {
    title: "Failover",
    panels: [
      {
        title: "Leader changes in 10 minutes",
        about: "As the pod counts them that has seen the most. Over 3 is an alert.",
        queries: [{ expr: "max(increase(botrunner_leader_changes_total{S}[10m]))", legend: "changes" }],
      },
      {
        title: "Gap of a hand-over",
        about: "How long bots stood still that moved from one living worker to another, by both machines' clocks.",
        unit: "s",
        queries: quantiles("botrunner_handover_gap_seconds"),
      },
      {
        title: "Oldest hand-over",
        about: "0, but while a segment moves: stop and start of its bots. Over 140 s is an alert.",
        unit: "s",
        queries: [figure("handover_oldest_seconds", "oldest")],
      },
      {
        title: "Bots killed by a fence, times in 15 minutes",
        about: "A worker could not renew in time, or had its hung Engine restarted.",
        queries: [{ expr: "sum by (pod) (increase(botrunner_fence_trips_total{S}[15m]))", legend: "{{pod}}" }],
      },
    ],
  },
  {
    title: "Runtime",
    panels: [
      {
        title: "CPU of the runtimes",
        about: "Of the processes that run the fleet; bots are not in it.",
        queries: [{ expr: "sum by (pod) (rate(process_cpu_seconds_total{S}[$__rate_interval]))", legend: "{{pod}}" }],
      },
      {
        title: "Memory of the runtimes",
        about: "Resident.",
        unit: "bytes",
        queries: [{ expr: "max by (pod) (process_resident_memory_bytes{S})", legend: "{{pod}}" }],
      },
      {
        title: "Lag of the main loop",
        about: "99th percentile. Over a second: the pod needs more CPU. Renewals do not suffer, they have a thread of their own.",
        unit: "s",
        queries: [{ expr: "max by (pod) (nodejs_eventloop_lag_p99_seconds{S})", legend: "{{pod}}" }],
      },
    ],
  },
];
