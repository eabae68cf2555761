import type { MonoMs } from "../../src/core/clock.ts";
import type { Container } from "../../src/core/containers.ts";
import type { FenceFile } from "../../src/core/fence.ts";
import type { ContainerId, Epoch, SessionId } from "../../src/core/ids.ts";
import type { FoundLease, LeaseVersion, LeaseWrite } from "../../src/core/lease.ts";
import { observeSessions, type Watches } from "../../src/core/observation.ts";
import type { Operation, Outcome } from "../../src/core/operations.ts";
import type { SegmentRecord, WorkerRecord } from "../../src/core/records.ts";
import { fenceDeadline, openSession, type Session } from "../../src/core/session.ts";
import type { Tenures } from "../../src/core/tenure.ts";
import { aContainer, aSegment, aWorker, bot, epoch, hash, segment, sid } from "../support/builders.ts";
import type { Doc } from "../support/apply-operation.ts";
import type { Bounds } from "./bounds.ts";

export const BOT = bot("b");
export const SEGMENT = segment(0);
export const BOOT_ID = "boot";
export const SPEC_HASH = hash();

/** A call to dockerd that the process waits for. It lands when dockerd pleases. */
export type Call =
  | { readonly kind: "create"; readonly sid: SessionId; readonly epoch: Epoch }
  | { readonly kind: "start" | "stop" | "remove"; readonly id: ContainerId; readonly epoch: Epoch };

/** A reply that is on its way: what it says was true when the store answered. */
export type Answer =
  | { readonly kind: "O0"; readonly sid: SessionId; readonly inc: number; readonly sentAt: MonoMs }
  | { readonly kind: "O1"; readonly outcome: Outcome; readonly sentAt: MonoMs }
  | { readonly kind: "O1'"; readonly version: LeaseVersion; readonly sentAt: MonoMs }
  | { readonly kind: "poll"; readonly records: readonly SegmentRecord[] };

export type Process = {
  /** Waits for a fresh dockerd before it opens this session. */
  readonly opening?: SessionId | undefined;
  readonly session: Session | undefined;
  /** Stopped, or cut off: it may skip its renewals, until one of them is acknowledged. */
  readonly isSilent: boolean;
  /** When it last sent a renewal. Who is not silent sends one in each tick. */
  readonly triedAt: MonoMs;
  readonly isDraining: boolean;
  readonly tenures: Tenures;
  /** It has read its segments once: what it does not know then is a stranger. */
  readonly isComplete: boolean;
  readonly call: Call | undefined;
  /** Its last call's outcome is unknown. */
  readonly isDoubtful: boolean;
  readonly answer: Answer | undefined;
  readonly knowsLease: boolean;
  readonly leaseVersion: LeaseVersion | undefined;
};

export type Pod = {
  readonly isLost: boolean;
  /** One at a time: a lock in the pod sees to that. */
  readonly process: Process | undefined;
  /** The release record in the pod's tmpfs. */
  readonly released: Epoch | undefined;
  readonly isDockerUp: boolean;
  /** There is one name for the bot in each dockerd. */
  readonly container: Container | undefined;
  readonly made: number;
  /** A start in dockerd's hands for which nobody waits any more. */
  readonly lateStart: ContainerId | undefined;
  readonly fence: FenceFile | undefined;
};

/** A request that nobody waits for and that lands some day, or never. */
export type Late = Write | { readonly lease: LeaseWrite };
/** `meant`: which process of a session, or which epoch, its sender had in mind: nobody in the world can see this. */
export type Write = { readonly operation: Operation; readonly meant?: number | undefined };

export type Leader = {
  readonly term: number | undefined;
  /** Set for one that reaches MongoDB and not the API server any more: what it has seen of the Leases grows old. */
  readonly blind?: Watches | undefined;
};

export type State = {
  readonly now: MonoMs;
  readonly left: Pick<Bounds, "deaths" | "faults" | "moves" | "elections">;
  readonly segment: SegmentRecord;
  readonly workers: readonly WorkerRecord[];
  readonly status: Doc | undefined;
  readonly leases: ReadonlyMap<SessionId, FoundLease> | "none";
  readonly versions: number;
  readonly term: number;
  /** The highest epoch that was given up: nothing may start under it. Nobody in the world can see this. */
  readonly givenUp: number;
  /** What one knows who looks at every moment. Whoever looks less often sees a session silent for less long. */
  readonly watches: Watches;
  readonly leaders: readonly [Leader, Leader];
  readonly pods: readonly [Pod, Pod];
  readonly late: readonly Late[];
};

/** How a step may break an invariant. */
export type Broken = { readonly invariant: string; readonly why: string };
export type Step = { readonly what: string; readonly next: State; readonly broken?: Broken | undefined };

export const podUid = (pod: number): string => `pod${pod}`;

export function change(state: State, pod: number, over: Partial<Pod>): State {
  const pods = [...state.pods] as [Pod, Pod];
  pods[pod] = { ...pods[pod as 0 | 1], ...over };
  return { ...state, pods };
}

export function changeProcess(state: State, pod: number, over: Partial<Process>): State {
  const { process } = state.pods[pod as 0 | 1];
  return process === undefined ? state : change(state, pod, { process: { ...process, ...over } });
}

export const NEW_PROCESS: Process = {
  session: undefined,
  isSilent: false,
  triedAt: -1 as MonoMs,
  isDraining: false,
  tenures: new Map(),
  isComplete: false,
  call: undefined,
  isDoubtful: false,
  answer: undefined,
  knowsLease: false,
  leaseVersion: undefined,
};

/** A quiet fleet: both workers have just renewed, the first one runs the bot. */
export function initialState(bounds: Bounds): State {
  const now = 0 as MonoMs;
  const owner = sid(podUid(0));
  const pod = (n: number): Pod => {
    const session = openSession(sid(podUid(n)), 1, now);
    const tenures: Tenures = n === 0 ? new Map([[SEGMENT, { epoch: epoch(1), state: "held" }]]) : new Map();
    return {
      isLost: false,
      process: { ...NEW_PROCESS, session, tenures, isComplete: true },
      released: undefined,
      isDockerUp: true,
      container: n === 0 ? aContainer({ bot: BOT, segment: SEGMENT, epoch: epoch(1), sid: owner, spec: SPEC_HASH }) : undefined,
      made: 0,
      lateStart: undefined,
      fence: { deadline: fenceDeadline(session, bounds.timings) ?? now, reading: now, bootId: BOOT_ID },
    };
  };
  const workers = [0, 1].map((n) => aWorker(podUid(n), { fenceMs: bounds.timings.fenceMs }));
  const leases = bounds.leases ? new Map<SessionId, FoundLease>() : "none";
  return {
    now,
    left: { deaths: bounds.deaths, faults: bounds.faults, moves: bounds.moves, elections: bounds.elections },
    segment: aSegment(SEGMENT, { state: "assigned", owner, epoch: epoch(1), term: 1 }),
    workers,
    status: { _id: BOT, epoch: 1, sid: owner },
    leases,
    versions: 0,
    term: 1,
    givenUp: 0,
    watches: observeSessions(new Map(), workers, leases, now),
    leaders: [{ term: 1 }, { term: undefined }],
    pods: [pod(0), pod(1)],
    late: [],
  };
}
