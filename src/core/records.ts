import type { BotState, Exit } from "./bot.ts";
import type { CountOwner } from "./count-owner.ts";
import type { Figures } from "./figures.ts";
import type { BotId, Epoch, SegmentId, SessionId, SpecHash } from "./ids.ts";

/** The documents of `runtime.*` as design.md section 3 and ownership.md word them. Fields are only ever added. */

/** Version of this data model. A database with a newer one is not written to. */
export const SCHEMA = 1;
/** Version of the protocol between workers and leader. */
export const PROTO = 1;

export type SessionState = "up" | "draining" | "gone" | "dead";

export type WorkerRecord = {
  readonly _id: SessionId;
  /** Rises with each process that continues this session. */
  readonly inc: number;
  /** Rises with each renewal: others judge life by seeing it move, never by a time stamp. */
  readonly hbSeq: number;
  readonly state: SessionState;
  readonly proto: number;
  /** Bots it takes before it asks for no further segment. */
  readonly capacity: number;
  readonly pod: string;
  readonly node: string;
  /** Whose worker it is: the owner in `control.fleet`. Records of older versions belong to who holds the database. */
  readonly fleet?: string;
  /** W of this worker's fence, in ms: the leader waits long enough for the slower of the two. Older versions have none. */
  readonly fenceMs?: number;
  /** Its Docker Engine does not answer: it keeps what it has and is given nothing. */
  readonly degraded?: boolean;
  /** When the session was opened, for people only. */
  readonly opened?: Date;
  /** An operator wants this worker empty: it drains, and stays up without bots until it is stopped. */
  readonly drain?: boolean;
};

export type SegmentRecord = {
  readonly _id: SegmentId;
  readonly state: "free" | "assigned" | "revoking";
  readonly owner: SessionId | null;
  readonly epoch: Epoch;
  readonly term: number;
  /** Who gets it next; set before the owner is asked to let go, so that it can have the images by then. */
  readonly target: SessionId | null;
  /** The epoch in which `target` has said that it has all it needs. Older versions say nothing. */
  readonly ready?: Epoch | null;
};

export type PlacementRecord = {
  readonly _id: BotId;
  readonly segment: SegmentId;
  readonly active: boolean;
  /** The document under which the bot completed or failed: it stays inactive until that changes. */
  readonly done: SpecHash | null;
};

export type FleetRecord = {
  readonly _id: "fleet";
  readonly owner: string;
  readonly coordination: string;
  readonly schema: number;
  /** Random: another one means another life of this database, of whose sessions and epochs nothing is known. */
  readonly incarnation: string;
  /** Whether a leader has waited until no session of an earlier life can be running bots. */
  readonly settled?: boolean;
};

/** What keeps the cluster from having the pods that it was asked for. */
export type MissingPods = {
  /** Why the Deployment makes no more: quota, Pod Security. */
  readonly failure: string | null;
  /** Pods that no node has room for, by the scheduler's reason. */
  readonly pending: readonly { readonly pods: number; readonly why: string }[];
};

/** A worker that MongoDB does not hear of, and whose Lease moves. */
export type HeadlessWorker = { readonly sid: SessionId; readonly since: Date };

/** `runtime.fleet`: what the leader sees, for every process to tell. */
export type FleetView = Figures & {
  readonly _id: "fleet";
  /** The leader's pod and session. */
  readonly leader: string;
  readonly sid: SessionId | null;
  /** Of the leadership that says this. Older versions have none. */
  readonly term?: number;
  /** Rises with each word of a leader: a view whose number stands still grows old. */
  readonly seq: number;
  /** Workers that are up and own nothing. */
  readonly idle: readonly SessionId[];
  /** Workers that live by their Lease alone, and since when; `since` is for people only. Older versions say nothing of it. */
  readonly headless?: readonly HeadlessWorker[];
  /** The last change of the number of replicas; `at` is for people only. */
  readonly lastScaling?: { readonly from: number; readonly to: number; readonly why: string; readonly at: Date };
  readonly bounds?: { readonly min: number; readonly max: number };
  /** For the next leader: who had the count of replicas. */
  readonly countOwner?: CountOwner;
  /** Pods that should be there and are not. */
  readonly missing?: MissingPods;
  /** For people only. */
  readonly observedAt: Date;
};

/** What a bot's owner reports. `_id` is a BotId, or `{document}` for a document whose `_id` cannot name a bot. */
export type StatusRecord = {
  readonly _id: BotId | { readonly document: string };
  readonly epoch: number;
  readonly sid: SessionId | null;
  readonly state: BotState;
  readonly since: Date;
  readonly worker: string;
  readonly container: string | null;
  readonly restarts: number;
  readonly attempt: number;
  readonly nextStart: Date | null;
  readonly lastExit: { readonly code: number; readonly oom: Exit["oom"]; readonly at: Date; readonly why: string } | null;
  readonly message: string;
  readonly warnings: readonly string[];
  readonly spec: SpecHash | null;
};

/** One run of a bot; `_id` is the container's id, so that recording it twice changes nothing. */
export type RunRecord = {
  readonly _id: string;
  readonly bot: BotId;
  readonly segment: SegmentId;
  readonly epoch: Epoch;
  readonly worker: string;
  readonly started: Date | null;
  readonly ended: Date;
  readonly exit: number;
  readonly oom: Exit["oom"];
  readonly startedWhy: string;
  /** The image that ran, as the Engine identifies it: `sha256:...`. Runs of older versions have none. */
  readonly digest?: string;
  readonly endedWhy: string;
  /** The last lines it wrote, at most 16 KiB. */
  readonly log: string;
};
