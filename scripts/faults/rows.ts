// The faults of ownership.md that several processes on one machine can suffer, as data.
import type { Bounds } from "./bounds.ts";
import { dropBooks, restoreBooks, secondFleet } from "./database-faults.ts";
import { fakeUptime, hangDockerd, killDocker, loseCreate } from "./engine-faults.ts";
import { hangBeforeMove, hangBeforeStart } from "./engine-restart-faults.ts";
import { killLeader, killLeaderAndWorker, releaseLeader, stopLeader } from "./leader-faults.ts";
import { loseAssign, loseRelease, loseRenewal } from "./reply-faults.ts";
import type { Occurrence, Scene } from "./scene.ts";
import type { Seat } from "./seat.ts";
import { cutStore, drain, killWorker, loseWorker, stopWorker, stopWorkerBriefly } from "./worker-faults.ts";

/** Makes one occurrence happen to the seat, and mends what it broke before or after it returns its measure. */
export type Act = (scene: Scene, seat: Seat) => Promise<Played>;
export type Played = Occurrence & {
  /** Brings the seat back. Runs after the measured stretch; the fleet must settle after it. */
  readonly mend?: () => Promise<void>;
};

export type FaultRow = {
  readonly number: string;
  readonly fault: string;
  readonly how: string;
  readonly expected: string;
  /** Occurrences that are published. */
  readonly n: number;
  /** How many may happen at once, to different workers; the others must carry their bots. */
  readonly atOnce: 1 | 2;
  /** `owner`: a worker with bots that does not lead; `leader`; `any`: it happens to all. */
  readonly victim: "owner" | "leader" | "any";
  /** No bot may be restarted by it, whoever's it is. */
  readonly restartsNone: boolean;
  /** Longest time without a run, in ms. `bots`: how many have to start at once. */
  readonly boundMs: (bounds: Bounds, bots: number) => number;
  /** Bound as a formula, for people. */
  readonly formula: string;
  /** One after the other, round by round. */
  readonly acts: readonly Act[];
};

const none = (): number => 0;
const sessionEnd = (bounds: Bounds, bots: number): number => bounds.sessionEndMs(bots);
/** What a stop of a beacon takes at most: its grace. */
const STOP_MS = 1_000;
const handOver = (bounds: Bounds, bots: number): number => bounds.handOverMs(STOP_MS, bots);

/** What the rig's kubelet waits at most before it starts a process again, and what the process takes until it has joined. */
const RESTART_MS = 4_000;

const untouched = { atOnce: 1, restartsNone: true, boundMs: none, formula: "0" } as const;
const ended = { restartsNone: false, boundMs: sessionEnd, formula: "L + 1 + 1 + start" } as const;

export const rows: readonly FaultRow[] = [
  {
    number: "1",
    fault: "worker process SIGKILLed, back in 2 s",
    how: "SIGKILL to the runtime, started again after 2 s",
    expected: "adopt",
    n: 20,
    victim: "owner",
    ...untouched,
    atOnce: 2,
    acts: [killWorker],
  },
  {
    number: "2",
    fault: "pod or node lost",
    how: "SIGKILL to runtime and fence at once, kept down",
    expected: "session ended at L",
    n: 20,
    victim: "owner",
    atOnce: 2,
    ...ended,
    acts: [loseWorker],
  },
  {
    number: "3",
    fault: "worker stopped 3 s",
    how: "SIGSTOP to the runtime, SIGCONT after 3 s",
    expected: "adopt",
    n: 20,
    victim: "owner",
    ...untouched,
    atOnce: 2,
    acts: [stopWorkerBriefly],
  },
  {
    number: "4",
    fault: "worker stopped 60 s",
    how: "SIGSTOP to the runtime, SIGCONT after 60 s",
    expected: "fence at W, session ended at L, on waking a new session",
    n: 20,
    victim: "owner",
    atOnce: 2,
    ...ended,
    acts: [stopWorker],
  },
  {
    number: "8",
    fault: "worker loses the store",
    how: "its way to MongoDB drops everything until its bots run elsewhere",
    expected: "R, W, session ended at L",
    n: 20,
    victim: "owner",
    atOnce: 2,
    ...ended,
    acts: [cutStore],
  },
  {
    number: "12",
    fault: "leader SIGKILLed",
    how: "SIGKILL to the leading runtime; every second time SIGTERM",
    expected: "next leader, bots untouched",
    n: 5,
    victim: "leader",
    ...untouched,
    formula: "0; control gap 9.2 s, clean release 1.2 s",
    acts: [killLeader, releaseLeader],
  },
  {
    number: "13",
    fault: "leader and worker together",
    how: "SIGKILL to the leading runtime and to a worker's runtime and fence, kept down",
    expected: "the standby had observed",
    n: 5,
    victim: "leader",
    atOnce: 1,
    restartsNone: false,
    boundMs: (bounds, bots) => bounds.sessionEndMs(bots) + 1_500 * bounds.factor,
    formula: "L + 1 + 1 + start + 1.5",
    acts: [killLeaderAndWorker],
  },
  {
    number: "14",
    fault: "old leader stopped 60 s wakes and writes",
    how: "SIGSTOP to the leading runtime, SIGCONT after 60 s and once another leads",
    expected: "term or counter misses; bots that it has itself as in row 4",
    n: 5,
    victim: "leader",
    ...untouched,
    formula: "0; its own as row 4",
    acts: [stopLeader],
  },
  {
    number: "15",
    fault: "dockerd hangs",
    how: "SIGSTOP to dockerd, SIGCONT after 30 s; then for good, while a new bot waits for its start, or the worker is to drain",
    expected: "running bots stay; after 120 s a restart of dockerd, if ownership waits for it",
    n: 6,
    victim: "owner",
    ...untouched,
    formula: "0; 120 + 10 + 3 + start for a waiting start, 3 + start for its neighbours, and stop + 2 + start where they move",
    acts: [hangDockerd, hangBeforeStart, hangBeforeMove],
  },
  {
    number: "16",
    fault: "dind container killed",
    how: "SIGKILL to the fence, started again after 0.5 to 2 s",
    expected: "same session, restart under the same epoch",
    n: 5,
    victim: "owner",
    atOnce: 1,
    restartsNone: false,
    boundMs: (bounds, bots) => bounds.dockerBackMs(bots),
    formula: "3 + start",
    acts: [killDocker],
  },
  {
    number: "18",
    fault: "SIGTERM, rolling upgrade",
    how: "SIGTERM to the runtime, started again after it has ended",
    expected: "drain, hand-over",
    n: 20,
    victim: "owner",
    atOnce: 2,
    restartsNone: false,
    boundMs: handOver,
    formula: "stop + 2 + start",
    acts: [drain],
  },
  {
    number: "19",
    fault: "create times out but lands",
    how: "a bot's document changes, and the reply to its container's creation is lost",
    expected: "found by label and epoch",
    n: 5,
    victim: "owner",
    atOnce: 1,
    restartsNone: false,
    boundMs: handOver,
    formula: "stop + 2 + start",
    acts: [loseCreate],
  },
  {
    number: "20",
    fault: "renewal, O2 or O5 applied, reply lost",
    how: "the relay swallows the reply; O2 and O5 in the course of a drain",
    expected: "read again; the retry is idempotent",
    n: 6,
    victim: "owner",
    atOnce: 1,
    restartsNone: false,
    boundMs: handOver,
    formula: "O1: 0; O2, O5: as row 18",
    acts: [loseRenewal, loseAssign, loseRelease],
  },
  {
    number: "21",
    fault: "a second installation on the same database",
    how: "a runtime of another fleet is started on the database",
    expected: "it starts nothing and exits 78",
    n: 5,
    victim: "any",
    ...untouched,
    acts: [secondFleet],
  },
  {
    number: "22",
    fault: "runtime.* dropped or an old dump restored under a running fleet",
    how: "the collections are dropped; every second time an older copy is put in their place",
    expected: "all fenced, one fresh start",
    n: 5,
    victim: "any",
    atOnce: 1,
    restartsNone: false,
    // Every process ends by the protocol's own rule, and is started again by whoever keeps it.
    boundMs: (bounds, bots) => bounds.sessionEndMs(bots) + RESTART_MS * bounds.factor,
    formula: "L + 1 + 1 + start, and 4 for the restart of every process",
    acts: [dropBooks, restoreBooks],
  },
  {
    number: "23",
    fault: "/proc/uptime faked, reset, or of another boot",
    how: "for 2 s the fence reads 0 or an hour more",
    expected: "lapsed at once",
    n: 5,
    victim: "owner",
    atOnce: 1,
    ...ended,
    acts: [fakeUptime("reset"), fakeUptime("ahead")],
  },
];
