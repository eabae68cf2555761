/** Series in promtool's notation, one value each 15 s: `1x4` is 1 five times, `0+15x9` rises by 15, `_` is no sample. The release's
 *  own labels are added. */
export type Series = Readonly<Record<string, string>>;

type Case = { readonly why: string; readonly series: Series; readonly at: string };
export type AlertCase = {
  readonly alert: string;
  /** Labels of the alert beyond the release's. */
  readonly labels?: Readonly<Record<string, string>>;
  /** `$value` as the alert shows it. */
  readonly value?: string;
  readonly fires: Case;
  readonly silent: readonly Case[];
};

const leader = (name: string) => `botrunner_${name}{pod="a"}`;
const [segments, backlog, shared, max] = [
  leader("segments"),
  leader("segments_backlog"),
  leader("segments_shared"),
  leader("replicas_max"),
] as const;
const store = (name: string, pod: string) => `botrunner_store_up{pod="${pod}",store="${name}"}`;
const bots = (state: string, pod = "a") => `botrunner_bots{pod="${pod}",state="${state}"}`;
const botsMax = (pod: string) => `botrunner_worker_bots_max{pod="${pod}"}`;

export const ALERT_CASES: readonly AlertCase[] = [
  {
    alert: "BotRunnerNoLeader",
    fires: {
      why: "two pods live, and neither has led for more than a minute",
      series: { 'botrunner_leader{pod="a"}': "1x4 0x20", 'botrunner_leader{pod="b"}': "0x24" },
      at: "3m",
    },
    silent: [
      {
        why: "the next leader came within half a minute",
        series: { 'botrunner_leader{pod="a"}': "1x4 0x20", 'botrunner_leader{pod="b"}': "0x6 1x20" },
        at: "3m",
      },
      {
        why: "a minute is not over yet",
        series: { 'botrunner_leader{pod="a"}': "1x4 0x20" },
        at: "2m",
      },
    ],
  },
  {
    alert: "BotRunnerLeaderUnstable",
    value: "4",
    fires: {
      why: "leadership changed four times within ten minutes",
      series: { 'botrunner_leader_changes_total{pod="a"}': "1x8 2x8 3x8 4x8 5x20", 'botrunner_leader_changes_total{pod="b"}': "0x52" },
      at: "10m",
    },
    silent: [
      {
        why: "three changes are a rollout, though their rise over samples of 585 s is extrapolated to 3.08",
        series: { 'botrunner_leader_changes_total{pod="a"}': "1x8 2x8 3x8 4x40" },
        at: "610s",
      },
      {
        why: "each pod saw the same two changes: they do not add up",
        series: { 'botrunner_leader_changes_total{pod="a"}': "1x8 2x8 3x40", 'botrunner_leader_changes_total{pod="b"}': "1x8 2x8 3x40" },
        at: "10m",
      },
      {
        why: "the changes are long past",
        series: { 'botrunner_leader_changes_total{pod="a"}': "1x4 2x4 3x4 4x4 5x60" },
        at: "16m",
      },
    ],
  },
  {
    alert: "BotRunnerSegmentsOrphaned",
    value: "2",
    fires: {
      why: "a dead worker's segments wait for over a minute, under two leaders",
      series: {
        [leader("segments_orphaned")]: "0x2 2x4 _x20",
        'botrunner_segments_orphaned{pod="b"}': "_x7 2x20",
      },
      at: "3m",
    },
    silent: [
      { why: "others had them within half a minute", series: { [leader("segments_orphaned")]: "0x2 2x2 0x20" }, at: "3m" },
      { why: "a minute is not over yet", series: { [leader("segments_orphaned")]: "0x6 2x20" }, at: "2m" },
    ],
  },
  {
    alert: "BotRunnerSegmentsUnassigned",
    value: "2",
    fires: {
      why: "two active segments have no owner for over three minutes",
      series: { [segments]: "5x40", [leader("segments_assigned")]: "5x4 3x36" },
      at: "5m",
    },
    silent: [
      {
        why: "pods came for them after two minutes",
        series: { [segments]: "5x40", [leader("segments_assigned")]: "5x4 3x8 5x28" },
        at: "5m",
      },
      { why: "all have one", series: { [segments]: "5x40", [leader("segments_assigned")]: "5x40" }, at: "5m" },
      {
        why: "one leader knows of more segments than the other one knows owners for: they are not compared",
        series: {
          [segments]: "5x40",
          [leader("segments_assigned")]: "5x40",
          'botrunner_segments{pod="b"}': "3x40",
          'botrunner_segments_assigned{pod="b"}': "3x40",
        },
        at: "5m",
      },
    ],
  },
  {
    alert: "BotRunnerHandOverStuck",
    value: "2m 30s",
    fires: { why: "a worker has not let go for 150 s", series: { [leader("handover_oldest_seconds")]: "0+15x20" }, at: "150s" },
    silent: [
      {
        why: "the longest stop that bots may ask for is no reason",
        series: { [leader("handover_oldest_seconds")]: "0+15x20" },
        at: "140s",
      },
      { why: "it was released in the end", series: { [leader("handover_oldest_seconds")]: "0+15x10 0x20" }, at: "4m" },
    ],
  },
  {
    alert: "BotRunnerFenceTripped",
    labels: { pod: "b" },
    fires: {
      why: "it has killed the bots of a pod",
      series: { 'botrunner_fence_trips_total{pod="a"}': "0x40", 'botrunner_fence_trips_total{pod="b"}': "0x8 1x32" },
      at: "5m",
    },
    silent: [
      { why: "that was long ago", series: { 'botrunner_fence_trips_total{pod="b"}': "0x8 1x92" }, at: "20m" },
      {
        why: "the pod that is looked at for the first time tripped before",
        series: { 'botrunner_fence_trips_total{pod="b"}': "1x40" },
        at: "5m",
      },
    ],
  },
  {
    alert: "BotRunnerBacklogNotShrinking",
    value: "3",
    fires: {
      why: "three segments without a worker for 13 minutes, and room below the maximum",
      series: { [segments]: "20x80", [backlog]: "3x80", [max]: "40x80" },
      at: "13m",
    },
    silent: [
      {
        why: "pods come, slowly",
        series: { [segments]: "20x80", [backlog]: "20x16 16x16 12x16 8x16 4x16", [max]: "40x80" },
        at: "13m",
      },
      {
        why: "there is no more to be had: as many segments as replicas",
        series: { [segments]: "40x80", [backlog]: "3x80", [max]: "40x80" },
        at: "13m",
      },
      {
        why: "it was gone in between",
        series: { [segments]: "20x80", [backlog]: "3x20 0x4 3x56", [max]: "40x80" },
        at: "13m",
      },
      {
        why: "the maximum was raised a minute ago",
        series: { [segments]: "45x80", [backlog]: "6x80", [max]: "40x48 60x32" },
        at: "13m",
      },
    ],
  },
  {
    alert: "BotRunnerUnexpectedSharing",
    value: "2",
    fires: {
      why: "two segments have shared a worker for over ten minutes, with room below the maximum",
      series: { [segments]: "20x80", [shared]: "0x4 2x76", [max]: "40x80" },
      at: "12m",
    },
    silent: [
      { why: "the maximum says so", series: { [segments]: "40x80", [shared]: "2x80", [max]: "40x80" }, at: "12m" },
      {
        why: "nine minutes: a lost pod, or its node, is being replaced",
        series: { [segments]: "20x80", [shared]: "0x4 2x76", [max]: "40x80" },
        at: "10m",
      },
    ],
  },
  {
    alert: "BotRunnerAtMaxReplicas",
    value: "40",
    fires: { why: "as many segments as replicas for a quarter of an hour", series: { [segments]: "40x80", [max]: "40x80" }, at: "16m" },
    silent: [
      { why: "there is a worker for each and a leader", series: { [segments]: "39x80", [max]: "40x80" }, at: "16m" },
      { why: "ten minutes are a peak", series: { [segments]: "39x20 41x60", [max]: "40x80" }, at: "15m" },
    ],
  },
  {
    alert: "BotRunnerForeignScaler",
    fires: { why: "somebody else owns the count for over a minute", series: { [leader("foreign_scaler")]: "0x4 1x20" }, at: "3m" },
    silent: [
      { why: "the leader alone writes it", series: { [leader("foreign_scaler")]: "0x24" }, at: "3m" },
      { why: "it was seen half a minute ago", series: { [leader("foreign_scaler")]: "0x4 1x20" }, at: "100s" },
    ],
  },
  {
    alert: "BotRunnerMongoDBUnreachable",
    value: "2",
    fires: {
      why: "two of three pods have not reached it for over a minute",
      series: { [store("mongodb", "a")]: "1x4 0x20", [store("mongodb", "b")]: "1x4 0x20", [store("mongodb", "c")]: "1x24" },
      at: "3m",
    },
    silent: [
      { why: "half a minute: it elects a primary", series: { [store("mongodb", "a")]: "1x4 0x20" }, at: "100s" },
      {
        why: "it is the Kubernetes API that is away",
        series: { [store("mongodb", "a")]: "1x24", [store("kubernetes", "a")]: "0x24" },
        at: "3m",
      },
    ],
  },
  {
    alert: "BotRunnerDockerUnreachable",
    labels: { pod: "b" },
    fires: {
      why: "one pod's Engine has not answered for over a minute",
      series: { [store("docker", "a")]: "1x24", [store("docker", "b")]: "1x4 0x20" },
      at: "3m",
    },
    silent: [
      { why: "a new pod's Engine comes up after its worker", series: { [store("docker", "b")]: "0x20" }, at: "40s" },
      { why: "it is MongoDB that is away", series: { [store("docker", "b")]: "1x24", [store("mongodb", "b")]: "0x24" }, at: "3m" },
    ],
  },
  {
    alert: "BotRunnerKubernetesUnreachable",
    value: "1",
    fires: {
      why: "a pod has not reached it for over five minutes",
      series: { [store("kubernetes", "a")]: "1x40", [store("kubernetes", "b")]: "1x4 0x36" },
      at: "8m",
    },
    silent: [
      { why: "three minutes: the control plane is being restarted", series: { [store("kubernetes", "a")]: "1x4 0x36" }, at: "4m" },
      { why: "it is MongoDB that is away", series: { [store("kubernetes", "a")]: "1x40", [store("mongodb", "a")]: "0x40" }, at: "8m" },
    ],
  },
  {
    alert: "BotRunnerBotsCrashLooping",
    value: "1.0",
    fires: {
      why: "one bot waits for its next try nearly all the time, now here, now there",
      series: { [bots("backoff")]: "1x40 0x160", [bots("backoff", "b")]: "0x40 0 1x160", [bots("running")]: "9x200" },
      at: "40m",
    },
    silent: [
      { why: "bots crash once in a while and come back", series: { [bots("backoff")]: "0x20 1 0x60 1x2 0x100" }, at: "40m" },
      { why: "it has gone on for less than five minutes", series: { [bots("backoff")]: "0x120 1x40" }, at: "38m" },
      { why: "bots in other states do not count", series: { [bots("backoff")]: "0x200", [bots("failed")]: "5x200" }, at: "40m" },
    ],
  },
  {
    alert: "BotRunnerWorkerOverfull",
    labels: { pod: "b" },
    value: "510",
    fires: {
      why: "one worker has had more bots than its bound for over ten minutes, whatever they do",
      series: {
        [bots("running")]: "400x60",
        [botsMax("a")]: "500x60",
        [bots("running", "b")]: "490x60",
        [bots("backoff", "b")]: "20x60",
        [botsMax("b")]: "500x60",
      },
      at: "12m",
    },
    silent: [
      { why: "as many as its bound", series: { [bots("running")]: "500x60", [botsMax("a")]: "500x60" }, at: "12m" },
      {
        why: "nine minutes: segments of a lost pod are moved on when there is another one",
        series: { [bots("running")]: "400x4 600x36 300x20", [botsMax("a")]: "500x60" },
        at: "12m",
      },
      {
        why: "bots that have ended take nobody's place",
        series: { [bots("running")]: "400x60", [bots("completed")]: "400x60", [botsMax("a")]: "500x60" },
        at: "12m",
      },
    ],
  },
  {
    alert: "BotRunnerBotsInvalid",
    value: "3",
    fires: {
      why: "the leader counts invalid documents for over five minutes",
      series: { [bots("invalid")]: "3x40", [bots("invalid", "b")]: "0x40" },
      at: "6m",
    },
    silent: [
      { why: "its author is mending it", series: { [bots("invalid")]: "0x4 3x36" }, at: "5m" },
      { why: "a bot that crashes is no invalid one", series: { [bots("invalid")]: "0x40", [bots("backoff")]: "3x40" }, at: "6m" },
    ],
  },
];
