import type { EventEmitter } from "node:events";
import type { BotState, Exit } from "../core/bot.ts";
import type { Container, StartReason, StopReason } from "../core/containers.ts";
import type { RestartEvidence } from "../core/engine-restart.ts";
import type { BotId, ContainerId, Epoch, SegmentId } from "../core/ids.ts";
import type { EndReason } from "../core/restart.ts";

/** What a worker tells about itself. Past tense: logs, metrics and tests listen, nobody decides by them. */
export type WorkerEvents = {
  /** A container was created and started; `tookMs` from the first engine call, image included. `gapMs`: how long the bot stood
   *  still, where another worker had stopped it to hand it over. */
  "bot:started": [{ bot: BotId; container: ContainerId; why: StartReason; tookMs: number; gapMs: number | undefined }];
  /** A container that ran before this process did goes on untouched. */
  "bot:adopted": [{ bot: BotId; container: ContainerId }];
  /** The container carries the evidence for the kill: session, epoch, begin of its run. */
  "bot:stopped": [{ bot: BotId; container: Container; why: StopReason; tookMs: number }];
  /** A run ended, by itself or because it was stopped; its container is gone. */
  "bot:ended": [{ bot: BotId; container: ContainerId; exit: Exit; why: EndReason }];
  /** A start came to nothing; the bot waits `retryMs`, or without it until its document changes. */
  "bot:start-failed": [{ bot: BotId; retryMs: number | undefined; error: unknown }];
  /** A look at the bot ended in a fault; it is looked at again in `retryMs`. Unexpected faults are ours to mend. */
  "bot:visit-failed": [{ bot: BotId; retryMs: number; expected: boolean; error: unknown }];
  /** As this process sees the bot: the first `from` is undefined, whatever an earlier owner has reported. */
  "bot:state": [{ bot: BotId; from: BotState | undefined; to: BotState | undefined }];
  /** The bot's name is held by a container that is not ours. */
  "bot:name-taken": [{ bot: BotId }];
  /** For a minute the Engine has not let go of the bot's name, though nothing has it. */
  "bot:name-held": [{ bot: BotId }];
  "segment:gained": [{ segment: SegmentId; epoch: Epoch }];
  /** The images of a segment that is about to come here are here. */
  "segment:ready": [{ segment: SegmentId; epoch: Epoch; images: number }];
  "segment:released": [{ segment: SegmentId; epoch: Epoch }];
  "segment:lost": [{ segment: SegmentId; epoch: Epoch }];
  "session:opened": [{ sid: string; inc: number; continued: boolean }];
  "session:renewed": [{ store: "mongodb" | "kubernetes" }];
  /** A renewal came to nothing, or to nobody knows what. */
  "session:unrenewed": [{ store: "mongodb" | "kubernetes"; reason: string }];
  /** For R nobody has confirmed this session: its bots are stopped. `right:back`: somebody has. */
  "right:over": [];
  "right:back": [];
  /** MongoDB has not confirmed this session for `headlessMs`, and for `vouchedMs` each look has shown a leader that reaches it: bots are
   *  stopped here, so that others can take them over. */
  "headless:gave-up": [{ headlessMs: number; leader: string; vouchedMs: number }];
  /** The Docker Engine has not answered for long: nothing new comes here. `engine:back`: it does again. */
  "engine:silent": [{ silentMs: number }];
  "engine:back": [{ silentMs: number }];
  /** It answered no ping for long, and ownership cannot wait: everything behind the fence is killed and it starts anew. */
  "engine:restarting": [RestartEvidence];
  /** Nothing ran behind the fence any more, `tookMs` after the word, and the Engine may come up again. */
  "engine:restarted": [{ tookMs: number }];
  /** An operator wants this worker empty. */
  "drain:asked": [];
  /** The store refused a report because a newer epoch has written. */
  "status:refused": [{ bot: BotId }];
  "reconcile:done": [{ tookMs: number; steps: number }];
  /** A loop's round failed and is tried again. */
  "round:failed": [{ loop: string; error: unknown }];
};

export type WorkerBus = EventEmitter<WorkerEvents>;
