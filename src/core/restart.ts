import { CRASH_RESET_MS, crashDelayMs } from "./backoff.ts";
import type { Exit, RestartPolicy } from "./bot.ts";
import { after, type MonoMs } from "./clock.ts";
import type { StopReason } from "./containers.ts";
import type { ContainerId, SpecHash } from "./ids.ts";

/** What a worker remembers of one bot between looks at the Engine. Immutable: each change is a new value. */
export type BotMemory = {
  /** The document that the rest of this memory belongs to; absent until the first start or adoption. */
  readonly spec?: SpecHash;
  /** The container this process started or adopted. */
  readonly container?: ContainerId;
  /** When this process first saw that container run. */
  readonly upSince?: MonoMs;
  /** Crashes in a row; sets the length of the next wait. */
  readonly attempt: number;
  /** Starts after the first one, since the document last changed. */
  readonly restarts: number;
  /** Not before this moment, after a crash or a failed start. */
  readonly nextStart?: MonoMs;
  /** We asked it to stop: how it ends now says nothing about the bot. */
  readonly stopping?: StopReason;
  readonly done?: "completed" | "failed";
  /** Its name is not free, though it should be; `isStuck` after a minute of it. */
  readonly nameHeld?: { readonly since: MonoMs; readonly tries: number; readonly isStuck: boolean };
  /** Its image cannot be had while the document stays as it is: no start is tried. */
  readonly imageless?: true;
};

/** A name that is not free for so long is not let go by itself, in ms. Source: docker.md rule 6. */
const NAME_PATIENCE_MS = 60_000;
/** Longest wait between tries at such a name, in ms. */
const NAME_RETRY_MS = 30_000;

export const FRESH: BotMemory = { attempt: 0, restarts: 0 };

export function afterStart(memory: BotMemory, spec: SpecHash, container: ContainerId, now: MonoMs): BotMemory {
  const again = memory.spec === spec;
  return { spec, container, upSince: now, attempt: again ? memory.attempt : 0, restarts: again ? memory.restarts + 1 : 0 };
}

/** An adopted container goes on as if nothing had happened; only its uptime counts anew. */
export function afterAdoption(memory: BotMemory, spec: SpecHash, container: ContainerId, now: MonoMs): BotMemory {
  const again = memory.spec === spec;
  return { spec, container, upSince: now, attempt: again ? memory.attempt : 0, restarts: again ? memory.restarts : 0 };
}

/** `lost`: the Engine died, and the bot with it. */
export type EndReason = "completed" | "failed" | "crashed" | "stopped" | "lost";

/** Decides what the end of a run means. `random` gives [0, 1) for the jitter of the wait. */
export function afterExit(
  memory: BotMemory,
  policy: RestartPolicy,
  exit: Exit,
  now: MonoMs,
  random: () => number,
): { readonly memory: BotMemory; readonly why: EndReason } {
  const { stopping, upSince, container: _ended, nextStart: _old, ...kept } = memory;
  if (stopping !== undefined) return { memory: kept, why: "stopped" };
  if (policy !== "always" && exit.code === 0) return { memory: { ...kept, done: "completed" }, why: "completed" };
  if (policy === "never") return { memory: { ...kept, done: "failed" }, why: "failed" };
  // No fault of the bot's: it is started again at once, and this counts as no crash.
  if (exit.withEngine === true) return { memory: { ...kept, ...(_ended !== undefined && { container: _ended }) }, why: "lost" };
  const forgiven = upSince !== undefined && now - upSince >= CRASH_RESET_MS;
  return { memory: { ...kept, ...nextTry(forgiven ? 0 : kept.attempt, now, random) }, why: "crashed" };
}

/** A start that never came to be (no image, the Engine's refusal) waits like a crash does. */
export function afterFailedStart(memory: BotMemory, spec: SpecHash, now: MonoMs, random: () => number): BotMemory {
  const { container: _none, upSince: _up, stopping: _stop, done: _done, imageless: _image, nameHeld: _name, ...kept } = memory;
  const attempt = memory.spec === spec ? memory.attempt : 0;
  const restarts = memory.spec === spec ? memory.restarts : 0;
  return { ...kept, spec, restarts, ...nextTry(attempt, now, random) };
}

/** No image is not the bot's fault: it is no crash, and the wait is that of image and registry. */
export function afterMissingImage(
  memory: BotMemory,
  spec: SpecHash,
  fault: { readonly permanent: boolean; readonly retryMs: number | undefined },
  now: MonoMs,
  random: () => number,
): BotMemory {
  const failed = afterFailedStart(memory, spec, now, random);
  if (!fault.permanent && fault.retryMs === undefined) return failed;
  const { nextStart: _crash, ...kept } = { ...failed, attempt: memory.spec === spec ? memory.attempt : 0 };
  return fault.permanent ? { ...kept, imageless: true } : { ...kept, nextStart: after(now, fault.retryMs ?? 0) };
}

/** The bot's name is not free, whoever has it. */
export function whileNameHeld(memory: BotMemory, now: MonoMs): BotMemory & Required<Pick<BotMemory, "nameHeld">> {
  const { since = now, tries = 0 } = memory.nameHeld ?? {};
  return { ...memory, nameHeld: { since, tries, isStuck: now - since >= NAME_PATIENCE_MS } };
}

/** A start that was refused for such a name is no crash; it is tried again less and less often. */
export function afterHeldName(memory: BotMemory, spec: SpecHash, now: MonoMs, random: () => number): ReturnType<typeof whileNameHeld> {
  const { nameHeld } = whileNameHeld(memory, now);
  const waitMs = Math.min(NAME_RETRY_MS, crashDelayMs(nameHeld.tries, random));
  const attempt = memory.spec === spec ? memory.attempt : 0;
  const failed = afterFailedStart(memory, spec, now, random);
  return { ...failed, attempt, nextStart: after(now, waitMs), nameHeld: { ...nameHeld, tries: nameHeld.tries + 1 } };
}

function nextTry(attempt: number, now: MonoMs, random: () => number): { attempt: number; nextStart: MonoMs } {
  return { attempt: attempt + 1, nextStart: after(now, crashDelayMs(attempt, random)) };
}
