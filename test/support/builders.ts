import type { BotReading, BotSpec, Exit } from "../../src/core/bot.ts";
import type { MonoMs } from "../../src/core/clock.ts";
import type { Container, Desired } from "../../src/core/containers.ts";
import type { BotId, ContainerId, Epoch, SegmentId, SessionId, SpecHash } from "../../src/core/ids.ts";
import type { FleetView, SegmentRecord, WorkerRecord } from "../../src/core/records.ts";
import type { StartOrder } from "../../src/worker/ports.ts";

/** Builders: a whole value with sane defaults, so that a test names only what it is about. */
export const bot = (id = "ticker"): BotId => id as BotId;
export const segment = (n: number): SegmentId => n as SegmentId;
export const epoch = (n: number): Epoch => n as Epoch;
export const sid = (text = "engine-1"): SessionId => text as SessionId;
export const hash = (text = "spec-1"): SpecHash => text as SpecHash;
export const at = (ms: number): MonoMs => ms as MonoMs;

export function aSpec(over: Partial<BotSpec> = {}): BotSpec {
  return {
    image: "bot-runner/demo-bot:1",
    env: {},
    resources: { memoryBytes: 64 * 1024 * 1024, pids: 64 },
    restart: "always",
    stopGraceSeconds: 1,
    labels: {},
    security: { readOnlyRootFilesystem: false, capabilities: [] },
    ...over,
  };
}

export function aContainer(over: Partial<Container> = {}): Container {
  return {
    id: "c1" as ContainerId,
    bot: bot(),
    segment: segment(3),
    epoch: epoch(7),
    sid: sid(),
    spec: hash(),
    graceSeconds: 10,
    startedWhy: "new",
    state: "running",
    ...over,
  };
}

export function anExit(over: Partial<Exit> = {}): Exit {
  return { code: 1, oom: "no", startedAt: new Date(0), finishedAt: new Date(1_000), error: "", ...over };
}

export function wantRun(over: Partial<Extract<Desired, { want: "run" }>> = {}): Desired {
  return { want: "run", spec: aSpec(), hash: hash(), segment: segment(3), epoch: epoch(7), sid: sid(), ...over };
}

export function aReading(over: Partial<Extract<BotReading, { kind: "valid" }>> = {}): BotReading {
  return { kind: "valid", id: bot(), enabled: true, spec: aSpec(), hash: hash(), warnings: [], ...over };
}

export function aSegment(id: number, over: Partial<SegmentRecord> = {}): SegmentRecord {
  return { _id: segment(id), state: "free", owner: null, epoch: epoch(100), term: 1, target: null, ...over };
}

export function aWorker(id: string, over: Partial<WorkerRecord> = {}): WorkerRecord {
  return { _id: sid(id), inc: 1, hbSeq: 0, state: "up", proto: 1, capacity: 500, pod: `pod-${id}`, node: "node", ...over };
}

export function anOrder(id: string, over: Partial<StartOrder> = {}): StartOrder {
  return { bot: bot(id), spec: aSpec(), hash: hash(), segment: segment(1), epoch: epoch(1), sid: sid(), why: "new", ...over };
}

export const aFleetView = (over: Partial<FleetView> = {}): FleetView => ({
  _id: "fleet",
  leader: "pod",
  sid: sid("a"),
  seq: 1,
  total_segments: 1,
  assigned_segments: 1,
  orphaned_segments: 0,
  available_workers: 1,
  segment_backlog: 0,
  idle: [],
  observedAt: new Date(0),
  ...over,
});
