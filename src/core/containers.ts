import type { BotSpec } from "./bot.ts";
import type { Exit } from "./bot.ts";
import { after, type MonoMs } from "./clock.ts";
import type { BotId, ContainerId, Epoch, SegmentId, SessionId, SpecHash } from "./ids.ts";
import type { BotMemory } from "./restart.ts";

/** One of our containers, as the Engine tells it. Everything but `state` and `exit` comes from labels. */
export type Container = {
  readonly id: ContainerId;
  readonly bot: BotId;
  readonly segment: SegmentId;
  readonly epoch: Epoch;
  readonly sid: SessionId;
  readonly spec: SpecHash;
  readonly graceSeconds: number;
  /** Why it was started, for the record of its run. */
  readonly startedWhy: string;
  readonly state: "created" | "running" | "exited" | "removing";
  /** When its run began, by the Engine's clock: for people only. A list does not tell. */
  readonly startedAt?: Date;
  /** What its image was when it was made, `sha256:...`, whatever the image's name means by now. A list does not tell. */
  readonly imageId?: string;
  /** Only from an inspect of an exited container; a list does not tell. */
  readonly exit?: Exit;
};

/** What the bot's name holds at the Engine. `foreign`: somebody else's container stands in our way. */
export type Actual = { readonly kind: "none" } | { readonly kind: "foreign" } | { readonly kind: "ours"; readonly container: Container };

/** `fenced`: nobody has confirmed for so long that this worker may run it that others may soon start it. */
export type StopReason = "disabled" | "deleted" | "invalid" | "outdated" | "finished" | "not-mine" | "released" | "draining" | "fenced";

/** What should be. A bot without an entry here is not ours to run: whatever carries its label is stopped. */
export type Desired =
  | {
      readonly want: "run";
      readonly spec: BotSpec;
      readonly hash: SpecHash;
      readonly segment: SegmentId;
      readonly epoch: Epoch;
      readonly sid: SessionId;
    }
  | { readonly want: "stop"; readonly why: StopReason };

export type StartReason = "new" | "changed" | "crashed" | "lost";

/** One act on one bot. Nothing to do is `undefined`, a wait says for what and until when. */
export type ContainerStep =
  | { readonly kind: "start"; readonly why: StartReason }
  | { readonly kind: "adopt"; readonly container: Container }
  | { readonly kind: "stop"; readonly container: Container; readonly why: StopReason; readonly graceSeconds: number }
  | { readonly kind: "reap"; readonly container: Container }
  | { readonly kind: "remove"; readonly container: Container; readonly why: "never-started" }
  | { readonly kind: "wait"; readonly until: MonoMs; readonly why: "backoff" | "removing" | "name-taken" }
  /** For a changed document, which brings a visit of its own. */
  | { readonly kind: "wait"; readonly until?: undefined; readonly why: "no-image" };

/** How long to leave a name alone that the Engine is still clearing, at first and when that takes long, and one that a
 *  stranger holds. Source: docker.md rule 6. */
const REMOVING_POLL_MS = 100;
const REMOVING_PATIENCE_MS = 10_000;
const REMOVING_SLOW_POLL_MS = 5_000;
const NAME_TAKEN_POLL_MS = 30_000;

/** Decides the next act on one bot. Level-based: it looks only at what is, so it may be asked again at any time.
 *  INVARIANT: `start` is given only for an empty name, so a changed spec is stop, proof, start: never two. */
export function planBot(desired: Desired, actual: Actual, memory: BotMemory, now: MonoMs): ContainerStep | undefined {
  if (actual.kind === "none") return desired.want === "run" ? planStart(desired.hash, memory, now) : undefined;
  if (actual.kind === "foreign")
    return desired.want === "run" ? { kind: "wait", until: after(now, NAME_TAKEN_POLL_MS), why: "name-taken" } : undefined;
  const { container } = actual;
  switch (container.state) {
    case "removing":
      return { kind: "wait", until: after(now, removingPollMs(memory, now)), why: "removing" };
    case "created":
      // A crash between create and start, or a create that landed late: nothing ran in it, so nothing is lost.
      return { kind: "remove", container, why: "never-started" };
    case "exited":
      return { kind: "reap", container };
    case "running":
      return planRunning(desired, container, memory);
  }
}

function planRunning(desired: Desired, container: Container, memory: BotMemory): ContainerStep | undefined {
  const stop = (why: StopReason, graceSeconds: number): ContainerStep => ({ kind: "stop", container, why, graceSeconds });
  if (desired.want === "stop") return stop(desired.why, container.graceSeconds);
  // Another owner's leftover may trade under a token that is no longer valid: no grace.
  if (container.sid !== desired.sid || container.epoch !== desired.epoch) return stop("not-mine", 0);
  if (container.spec !== desired.hash) return stop("outdated", container.graceSeconds);
  // It was told to stop and still runs: the stop is not done until the Engine says so.
  if (memory.stopping !== undefined) return stop(memory.stopping, container.graceSeconds);
  return memory.container === container.id ? undefined : { kind: "adopt", container };
}

function removingPollMs({ nameHeld }: BotMemory, now: MonoMs): number {
  const isLong = nameHeld !== undefined && now - nameHeld.since >= REMOVING_PATIENCE_MS;
  return isLong ? REMOVING_SLOW_POLL_MS : REMOVING_POLL_MS;
}

function planStart(hash: SpecHash, memory: BotMemory, now: MonoMs): ContainerStep | undefined {
  // A changed spec starts afresh: neither an old end nor an old back-off binds it.
  if (memory.spec === undefined) return { kind: "start", why: "new" };
  if (memory.spec !== hash) return { kind: "start", why: "changed" };
  if (memory.done !== undefined) return undefined;
  if (memory.imageless) return { kind: "wait", why: "no-image" };
  if (memory.nextStart !== undefined)
    return now < memory.nextStart ? { kind: "wait", until: memory.nextStart, why: "backoff" } : { kind: "start", why: "crashed" };
  // It ran here and nobody saw it end: its container was removed behind our back.
  return { kind: "start", why: memory.container === undefined ? "new" : "lost" };
}

export type Fleet = {
  readonly desired: ReadonlyMap<BotId, Desired>;
  readonly actual: ReadonlyMap<BotId, Container>;
  readonly memory: ReadonlyMap<BotId, BotMemory>;
};

/** The plan for every bot known from either side: desired but absent, present but not desired, or both and unequal. */
export function planContainers(fleet: Fleet, unknown: Desired, fresh: BotMemory, now: MonoMs): Map<BotId, ContainerStep> {
  const plan = new Map<BotId, ContainerStep>();
  for (const bot of new Set([...fleet.desired.keys(), ...fleet.actual.keys()])) {
    const container = fleet.actual.get(bot);
    const actual: Actual = container === undefined ? { kind: "none" } : { kind: "ours", container };
    const step = planBot(fleet.desired.get(bot) ?? unknown, actual, fleet.memory.get(bot) ?? fresh, now);
    if (step !== undefined) plan.set(bot, step);
  }
  return plan;
}
