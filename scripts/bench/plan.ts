// planAssignment at three sizes of fleet: the time per segment must not grow with the fleet.
import { cpus, loadavg } from "node:os";

import { type Observed, planAssignment } from "../../src/core/assignment.ts";
import type { MonoMs } from "../../src/core/clock.ts";
import type { Epoch, SegmentId, SessionId } from "../../src/core/ids.ts";
import type { SegmentRecord, SessionState, WorkerRecord } from "../../src/core/records.ts";
import { trackWaiting } from "../../src/core/waiting.ts";
import { median, summary } from "../lib/bench.ts";

/** Twenty segments a worker, so that a scan of workers for each segment would cost sixteen times as much at the end. */
const SIZES = [
  { segments: 256, workers: 12 },
  { segments: 1_024, workers: 50 },
  { segments: 4_096, workers: 200 },
] as const;
const ROUNDS = 5;
/** Passes in one measurement. Each is over 4,096 segments: sixteen small fleets, four middle ones or a large one, so that all
 *  sizes touch equally much memory. */
const PASSES = 60;
/** Linear is 1, a sort of all segments 1.5 (log 4096 / log 256), a scan of the workers for each segment up to 16. A linear
 *  plan comes out at 1.3 to 1.7: it passes over its fleet more than once, and a small one still lies in the cache then; the
 *  middle size, at 1.1, shows that it is a step and not a slope. */
const MAX_RATIO = 2;

const sid = (n: number): SessionId => `worker-${n}` as SessionId;
const worker = (n: number, state: SessionState): WorkerRecord => ({
  _id: sid(n),
  inc: 1,
  hbSeq: 0,
  state,
  proto: 1,
  capacity: 500,
  pod: `pod-${n}`,
  node: "node",
});

type Size = (typeof SIZES)[number];

/** A fleet at its cap with its leader apart. `owner` says who has a segment, `state` how a worker is. */
function fleet({ segments, workers }: Size, owner: (n: number) => number | null, state: (n: number) => SessionState): Observed {
  const active = Array.from({ length: segments }, (_, n) => n as SegmentId);
  const records = active.map((id): SegmentRecord => {
    const of = owner(id);
    return {
      _id: id,
      state: of === null ? "free" : "assigned",
      owner: of === null ? null : sid(of),
      epoch: 1 as Epoch,
      term: 1,
      target: null,
    };
  });
  const pods = Array.from({ length: workers + 1 }, (_, n) => worker(n, state(n)));
  const observed: Observed = {
    active,
    segments: records,
    workers: pods,
    leader: sid(0),
    atCap: true,
    generations: new Map(pods.map(({ _id }) => [_id, 1])),
    bots: new Map(active.map((id) => [id, 1 + (id % 7)])),
  };
  return { ...observed, waiting: trackWaiting(new Map(), observed, 0 as MonoMs) };
}

const up = (): SessionState => "up";
const scenes: Readonly<Record<string, (size: Size) => Observed>> = {
  settled: (size) => fleet(size, (n) => 1 + (n % size.workers), up),
  "all free": (size) => fleet(size, () => null, up),
  "half dead": (size) =>
    fleet(
      size,
      (n) => 1 + (n % size.workers),
      (n) => (n % 2 === 1 ? "dead" : "up"),
    ),
  "half draining": (size) =>
    fleet(
      size,
      (n) => 1 + (n % size.workers),
      (n) => (n % 2 === 1 ? "draining" : "up"),
    ),
  "half just came": (size) => fleet(size, (n) => 1 + (n % Math.ceil(size.workers / 2)), up),
};

/** Nanoseconds of this process's own CPU time per segment: others on the machine do not count. */
function cost(fleets: readonly Observed[]): number {
  let planned = 0;
  const began = process.cpuUsage();
  for (let pass = 0; pass < PASSES; pass++) {
    for (const observed of fleets) {
      planAssignment(observed);
      planned += observed.active.length;
    }
  }
  const { user, system } = process.cpuUsage(began);
  return ((user + system) * 1_000) / planned;
}

const largest = SIZES[SIZES.length - 1]?.segments ?? 0;
console.log(`bench:plan: ${cpus().length} x ${cpus()[0]?.model ?? "?"}, load ${loadavg()[0]?.toFixed(1)}`);
let linear = true;
for (const [scene, make] of Object.entries(scenes)) {
  const fleets = SIZES.map((size) => Array.from({ length: largest / size.segments }, () => make(size)));
  for (const some of fleets) cost(some); // warms up
  const rounds = Array.from({ length: ROUNDS }, () => fleets.map(cost));
  const ratio = median(rounds.map((costs) => (costs.at(-1) ?? 0) / (costs[0] ?? 1)));
  linear &&= ratio <= MAX_RATIO;
  for (const [i, { segments, workers }] of SIZES.entries()) {
    const costs = summary(
      rounds.map((round) => round[i] ?? 0),
      "ns a segment",
      0,
    );
    console.log(`bench:plan: ${scene}, ${segments} segments, ${workers} workers: ${costs}`);
  }
  const steps = planAssignment(fleets.at(-1)?.[0] as Observed).length;
  console.log(`bench:plan: ${scene}, ${steps} steps at the largest; ratio ${ratio.toFixed(2)}, limit ${MAX_RATIO}`);
}
if (!linear) {
  console.log("bench:plan: the time per segment grows with the fleet");
  process.exitCode = 1;
}
