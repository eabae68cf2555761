import { after, type Clock, type MonoMs } from "../core/clock.ts";
import {
  type ElectionTimings,
  type Fitness,
  type FoundLeadership,
  type Leadership,
  observeLeadership,
  type Sight,
  standingAt,
  takeLeadership,
} from "../core/election.ts";
import { Bell } from "../process/bell.ts";
import { LeadershipStuckError } from "../core/errors.ts";
import type { SessionId } from "../core/ids.ts";
import { tolerate } from "../process/retry.ts";
import type { LeaderBus } from "./events.ts";

/** Where the lease of leadership lies. Every call ends within two retry periods. What is thrown is the fault of whichever
 *  store that is, or its refusal. */
export interface Election {
  /** @throws {StoreUnreachableError} {ClusterUnreachableError} {ClusterRefusedError} */
  read(): Promise<FoundLeadership | undefined>;
  /** A compare-and-set on the version; without one an insert. `conflict`: somebody else has written.
   *  @throws as `read`; when no answer came it may have landed */
  write(record: Leadership, expect: string | undefined): Promise<FoundLeadership | "conflict">;
}

export type ElectorOptions = {
  readonly election: Election;
  readonly clock: Clock;
  readonly random: () => number;
  readonly timings: ElectionTimings;
  readonly self: SessionId;
  /** Asked at each look. `holder` is who had the lease last: it may be dead though its session still seems to live. */
  readonly fitness: (holder: SessionId | null) => Fitness;
  readonly bus: LeaderBus;
};

/** Waits come with up to so much more, so that candidates do not look all at once. Source: client-go's jitter. */
const JITTER = 0.2;
const GIVE_UP_TRIES = 3;
/** After a renewal that was acknowledged the next one comes after so many retries: within the deadline there is room for as many
 *  tries as without that, and a quiet fleet asks the API for a fifth less. */
const RENEW_EVERY = 1.25;
/** Who gave leadership up of its own accord leaves it to others for so many retries. */
const REST = 4;

/** Stands for election and leads, again and again.
 *
 *  standing -`standingAt` has come, and the write was won-> leading. leading -renewed within the deadline-> leading;
 *  -not, or `lead` ends, or the signal-> ending: the work has ended, or the process must -> standing.
 *  INVARIANT: our work ends before others may begin theirs: the lease counts from each renewal's sending, theirs from what
 *  they see, and it is given up only once the work has ended. */
export class Elector {
  readonly #options: ElectorOptions;
  readonly #news = new Bell();
  #sight: Sight | undefined;
  #restsUntil: MonoMs | undefined;
  /** Since when we could lead; none while we are barred. */
  #ableSince: MonoMs | undefined;

  constructor(options: ElectorOptions) {
    this.#options = options;
  }

  /** The lease as it was last seen, also by one who does not stand; none before the first look. */
  get sight(): Sight | undefined {
    return this.#sight;
  }

  /** There is something to see: who stands looks at once. */
  look(): void {
    this.#news.ring();
  }

  /** Until the signal aborts. `lead` runs while we hold the lease, and may end by itself: then others get their chance.
   *  @throws {LeadershipStuckError} when `lead` does not end in time: whoever else leads by now must not have us beside it */
  async run(lead: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      const stood = await this.#tolerate(() => this.#stand());
      if (typeof stood === "object") await this.#hold(stood, lead, signal);
      else await this.#news.wait(clock, this.#pauseMs(stood), signal);
    }
  }

  /** One look, and the lease if it is to be had: with when the write was sent; else when it may be taken, as far as that is known. */
  async #stand(): Promise<Held | MonoMs | undefined> {
    const { election, clock, self, fitness, timings, bus } = this.#options;
    const before = this.#sight?.found?.record.holder;
    this.#sight = observeLeadership(this.#sight, await election.read(), clock.mono());
    const { found } = this.#sight;
    const holder = found?.record.holder ?? null;
    if (holder !== null && holder !== before) bus.emit("leader:seen", { holder });
    const now = clock.mono();
    const own = fitness(holder);
    this.#ableSince = own.isBarred ? undefined : (this.#ableSince ?? now);
    const at = standingAt(this.#sight, self, own, timings, this.#ableSince);
    if (at === undefined || (this.#restsUntil !== undefined && now < this.#restsUntil)) return undefined;
    if (now < at) return at;
    const written = await election.write(takeLeadership(self, found, timings), found?.version);
    return written === "conflict" ? undefined : { found: written, sentAt: now };
  }

  async #hold(held: Held, lead: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    const { clock, timings } = this.#options;
    const end = new AbortController();
    const stopped = AbortSignal.any([signal, end.signal]);
    const work = lead(stopped).finally(() => end.abort());
    const settled = work.then(
      () => {},
      () => {},
    );
    const { lost, sentAt } = await this.#renew(held, stopped);
    const ownAccord = end.signal.aborted && !lost;
    end.abort();
    const late = new AbortController();
    const inTime = await Promise.race([
      settled.then(() => true),
      // Stopped by its process the work may take longer, but never until others may begin: the lease may be old by now.
      clock.sleep(lost ? timings.endMs : after(sentAt, timings.renewDeadlineMs + timings.endMs) - clock.mono(), late.signal).then(
        () => false,
        () => false,
      ),
    ]);
    late.abort();
    if (!inTime) throw new LeadershipStuckError();
    if (ownAccord) this.#restsUntil = after(clock.mono(), REST * timings.retryMs);
    if (!lost) await this.#tolerate(() => this.#giveUp());
    await work.catch((error: unknown) => {
      if (error !== stopped.reason) throw error; // a fault of the work's own is for the process
    });
  }

  /** Renews until the signal aborts, or this process is no candidate any more. Returns whether the lease was lost, and
   *  when the last renewal was sent. */
  async #renew(held: Held, signal: AbortSignal): Promise<{ readonly lost: boolean; readonly sentAt: MonoMs }> {
    const { election, clock, timings, self, fitness } = this.#options;
    let { found, sentAt } = held;
    let pauseMs = RENEW_EVERY * timings.retryMs;
    this.#sight = { found, since: sentAt };
    while (!signal.aborted) {
      const left = sentAt + timings.renewDeadlineMs - clock.mono();
      if (left <= 0) return { lost: true, sentAt };
      await clock.sleep(Math.min(left, pauseMs), signal).catch(() => {});
      pauseMs = timings.retryMs;
      if (signal.aborted || fitness(null).isBarred) break;
      const now = clock.mono();
      const answered = new AbortController();
      const isOver = clock
        .sleep(Math.max(0, sentAt + timings.renewDeadlineMs - now), AbortSignal.any([signal, answered.signal]))
        .catch(() => {});
      const trying = this.#tolerate(async () => {
        const reply = await election.write(takeLeadership(self, found, timings), found.version);
        if (reply !== "conflict") return reply;
        // A write of our own whose reply was lost, or somebody else's.
        const there = await election.read();
        return there?.record.holder === self ? { ...there, isOld: true } : "lost";
      });
      // A write that hangs must not outlast the deadline.
      const written = await Promise.race([trying, isOver]);
      answered.abort();
      if (written === "lost") return { lost: true, sentAt };
      if (written === undefined) continue;
      found = { record: written.record, version: written.version };
      if (!("isOld" in written)) [sentAt, pauseMs] = [now, RENEW_EVERY * timings.retryMs];
      this.#sight = { found, since: now };
    }
    return { lost: false, sentAt };
  }

  /** A late write of our own may come in between: then once more. */
  async #giveUp(): Promise<void> {
    const { election, self } = this.#options;
    for (let tries = 0; tries < GIVE_UP_TRIES; tries++) {
      const there = await election.read();
      if (there?.record.holder !== self) return;
      if ((await election.write({ ...there.record, holder: null }, there.version)) !== "conflict") return;
    }
  }

  /** Until the next look, in ms: no longer than until the lease may be taken. */
  #pauseMs(standsAt = Infinity): number {
    const { clock, random, timings } = this.#options;
    return Math.min(timings.retryMs, standsAt - clock.mono()) + JITTER * timings.retryMs * random();
  }

  async #tolerate<T>(act: () => Promise<T>): Promise<T | undefined> {
    let result: T | undefined;
    await tolerate(
      async () => void (result = await act()),
      (error) => this.#options.bus.emit("round:failed", { loop: "election", error }),
    );
    return result;
  }
}

type Held = { readonly found: FoundLeadership; readonly sentAt: MonoMs };
