import type { EventEmitter } from "node:events";
import type { AdmissionStep } from "../core/admission.ts";
import type { AssignmentStep } from "../core/assignment.ts";
import type { Figures } from "../core/figures.ts";
import type { MissingPods } from "../core/records.ts";
import type { ScalingSettings } from "../core/scaling-settings.ts";

/** What the leader tells about itself. */
export type LeaderEvents = {
  /** This process plans from now on; `term` guards its writes. */
  "leader:elected": [{ term: number }];
  "leader:resigned": [{ term: number }];
  /** Somebody else was seen to lead. */
  "leader:seen": [{ holder: string }];
  /** A silent session was ended; its segments may be freed. */
  "session:ended": [{ sid: string; pod: string; silentMs: number }];
  /** One complete comparison of the bots with their placements. */
  "admission:merged": [{ documents: number; steps: number; tookMs: number }];
  "admission:stepped": [{ step: AdmissionStep }];
  "document:unusable": [{ document: string; reason: string }];
  "assignment:stepped": [{ step: AssignmentStep }];
  /** A step's compare-and-set found another state than the plan: the next plan sees it. */
  "assignment:missed": [{ step: AssignmentStep }];
  /** `handOverMs`: how long the oldest hand-over has stood. */
  "figures:observed": [{ figures: Figures; shared: number; invalid: number; handOverMs: number }];
  /** What the fleet's size should be. */
  "scaling:observed": [{ desired: number; min: number; max: number; foreign: boolean }];
  /** The smaller or larger count was written. */
  scaled: [{ from: number; to: number; why: string; at: Date; /** Who wrote it, where it was not this process. */ leader?: string }];
  /** Not scaling though another count is wanted; once for each hold. */
  "scaling:held": [{ why: string; replicas: number; foreign: string | undefined }];
  /** The bounds that hold from now on. */
  "scaling:settings": [ScalingSettings];
  /** Bounds that make no sense; those from before hold. */
  "scaling:refused": [{ reason: string }];
  /** The cluster refuses pods or cannot place them; once for each change of that. */
  "pods:missing": [MissingPods];
  "event:untold": [{ reason: string; error: unknown }];
  "round:failed": [{ loop: string; error: unknown }];
};

export type LeaderBus = EventEmitter<LeaderEvents>;
