import { after, type Clock, type MonoMs } from "../core/clock.ts";
import { FenceSilentError } from "../core/errors.ts";
import type { FenceFile as FenceWord } from "../core/fence.ts";
import { FENCE_POLL_MS } from "../core/fence.ts";

/** What the fence says of itself at each of its polls. */
type Tick = { readonly now: MonoMs; readonly bootId: string; readonly state: string; readonly trips: number };

/** The directory that worker and fence share. */
export type FenceDir = { write(word: FenceWord): void; readTick(): Tick | undefined; readonly bootId: string };

/** How far the fence's clock and ours may be apart before nothing is started, in ms. Source: ownership.md "The fence". */
const MAX_APART_MS = 1_000;
/** How long the fence may take to end everything and say so, in ms: many times its worst kill. */
const KILL_LIMIT_MS = 30_000;

/** The worker's view of its fence. */
export class FenceGuard {
  readonly #dir: FenceDir;
  readonly #clock: Clock;
  #last: Tick | undefined;

  constructor(dir: FenceDir, clock: Clock) {
    this.#dir = dir;
    this.#clock = clock;
  }

  /** Whether the fence is there and reads the same time as we do. */
  isSteady(): boolean {
    const tick = this.#tick();
    return tick !== undefined && tick.bootId === this.#dir.bootId && Math.abs(this.#clock.mono() - tick.now) <= MAX_APART_MS;
  }

  /** Kills since the fence began. */
  trips(): number {
    return this.#tick()?.trips ?? 0;
  }

  /** Lets what runs behind the fence go on until `deadline`. @throws when the fence's file cannot be written: then the old one holds */
  keepRunning(deadline: MonoMs): void {
    this.#dir.write({ deadline, reading: this.#clock.mono(), bootId: this.#dir.bootId });
  }

  /** Lets everything die that runs behind the fence, calls in dockerd's hands too, and returns once it has.
   *  @throws {FenceSilentError} when it does not say so in time */
  async killAll(signal: AbortSignal): Promise<void> {
    const reading = this.#clock.mono();
    // Lapsed on any clock: what is not read as ahead of it is not after it either. And no older than it is, for the fence's
    // probe counts from the deadline how long a kill takes.
    this.#dir.write({ deadline: reading, reading, bootId: this.#dir.bootId });
    const limit = after(reading, KILL_LIMIT_MS);
    // Polls to hundredths of a second: a tick of the same hundredth may have looked before we wrote.
    const isProof = (tick: Tick | undefined): boolean =>
      tick?.state === "down" && tick.now >= reading + 2 * FENCE_POLL_MS && tick.bootId === this.#dir.bootId;
    while (!isProof(this.#tick())) {
      if (this.#clock.mono() > limit)
        throw new FenceSilentError(
          "Cannot get a fresh Docker Engine: FENCE_DIR: the fence does not say that everything behind it has ended. Is the dind container up, with the same directory?",
        );
      await this.#clock.sleep(FENCE_POLL_MS / 2, signal);
    }
  }

  /** It may be read half-written: then the last word holds. */
  #tick(): Tick | undefined {
    this.#last = this.#dir.readTick() ?? this.#last;
    return this.#last;
  }
}
