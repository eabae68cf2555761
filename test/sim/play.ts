import { Chance } from "./chance.ts";
import { Violation } from "./checker.ts";
import type { Coverage } from "./coverage.ts";
import { type Fault, FAULT_NAMES, faults, type FaultName } from "./faults.ts";
import type { SimWorker } from "./worker.ts";
import { type Line, World } from "./world.ts";

/** One fault of a play: when, in ms of the world, and to which of the living workers. */
export type Act = {
  readonly at: number;
  readonly fault: FaultName;
  readonly victim: number;
  /** How long; absent: as chance will have it. */ readonly forMs?: number;
};
export type Play = { readonly seed: number; readonly acts: readonly Act[]; readonly untilMs: number };
export type Ending = {
  readonly play: Play;
  readonly events: number;
  readonly violation?: Violation | undefined;
  readonly lines: readonly Line[];
};

const START_MS = 30_000;
const SLOTS = 6;
const SLOT_MS = 110_000;
/** Faults of one slot begin within so much; the longest lasts 65 s; and then comes a calm of at least 30 s. */
const SPREAD_MS = 12_000;

const PAIRS = FAULT_NAMES.flatMap((a, i) => FAULT_NAMES.slice(i + 1).map((b) => [a, b] as const));

/** The play of a seed: 11 min 30 s of virtual time in slots of faults that overlap, each followed by a calm. Pairs come in
 *  turn, so that a run of some hundred seeds sees each; what else happens is chance. One slot has a fault alone. */
export function playOf(seed: number): Play {
  const chance = new Chance(seed ^ 0x5eed);
  const acts: Act[] = [];
  for (let slot = 0; slot < SLOTS; slot++) {
    const begin = START_MS + slot * SLOT_MS;
    const act = (fault: FaultName, ms: number): void => void acts.push({ at: begin + ms, fault, victim: Math.floor(chance.next() * 3) });
    if (slot === SLOTS - 1) {
      act(chance.pick(FAULT_NAMES), 0);
      continue;
    }
    const [a, b] = PAIRS[(seed * (SLOTS - 1) + slot) % PAIRS.length] as readonly [FaultName, FaultName];
    const first = chance.is(0.5);
    act(first ? a : b, 0);
    act(first ? b : a, chance.between(0, 2_000));
    for (let more = chance.is(0.4) ? chance.between(1, 4) : 0; more >= 1; more--)
      act(chance.pick(FAULT_NAMES), chance.between(0, SPREAD_MS));
  }
  return { seed, acts, untilMs: START_MS + SLOTS * SLOT_MS };
}

/** A play of these faults only, several at a time: it aims at what only they together can break. */
export function aimedPlay(seed: number, aims: readonly FaultName[]): Play {
  const chance = new Chance(seed ^ 0xa13);
  const acts = Array.from({ length: SLOTS }, (_, slot) => {
    const many = Math.floor(chance.between(3, 8));
    return Array.from({ length: many }, () => ({
      at: START_MS + slot * SLOT_MS + chance.between(0, SPREAD_MS),
      fault: chance.pick(aims),
      victim: Math.floor(chance.next() * 3),
    }));
  });
  return { seed, acts: acts.flat(), untilMs: START_MS + SLOTS * SLOT_MS };
}

export function scriptedPlay(seed: number, acts: readonly Act[]): Play {
  return { seed, acts, untilMs: START_MS + SLOT_MS };
}

/** Plays until the end or the first broken invariant. `isTold`: with a timeline, which costs time. */
export function perform(play: Play, coverage: Coverage, options: { readonly isTold?: boolean } = {}): Ending {
  const world = new World(play.seed, coverage, options);
  const stage = new Stage(world);
  let violation: Violation | undefined;
  try {
    stage.perform(play);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    violation = error;
  }
  return { play, events: world.scheduler.ran, violation, lines: world.lines ?? [] };
}

class Stage {
  readonly #world: World;
  readonly #on = new Map<FaultName, number>();
  #leaderless = 0;
  #lastLeader: SimWorker | undefined;

  constructor(world: World) {
    this.#world = world;
  }

  perform({ acts, untilMs }: Play): void {
    const { scheduler, checker } = this.#world;
    this.#elect();
    scheduler.runUntil(START_MS);
    checker.settled();
    for (let slot = 0; START_MS + slot * SLOT_MS < untilMs; slot++) {
      const begin = START_MS + slot * SLOT_MS;
      const mine = acts.filter(({ at }) => at >= begin && at < begin + SLOT_MS);
      const alone = mine.length === 1 ? mine[0] : undefined;
      const startsBefore = checker.starts;
      checker.longestDownMs = 0;
      for (const act of mine) scheduler.at(act.at, () => this.#begin(act));
      scheduler.runUntil(begin + SLOT_MS);
      if (mine.length > 0) checker.settled();
      if (alone !== undefined) this.#judgeAlone(alone.fault, checker.starts - startsBefore);
    }
  }

  #begin({ fault, victim, forMs: fixedMs }: Act): void {
    const world = this.#world;
    const living = world.living();
    const worker = living[victim % living.length];
    if (worker === undefined) return;
    const { forMs: chanceMs, over } = (faults[fault] as Fault).begin(world, worker);
    const forMs = fixedMs ?? chanceMs;
    world.say(worker.pod, `FAULT ${fault}`);
    world.coverage.count(`fault ${fault}`);
    for (const other of this.#on.keys()) if (other !== fault) world.coverage.count(`pair ${[fault, other].toSorted().join(" + ")}`);
    this.#on.set(fault, (this.#on.get(fault) ?? 0) + 1);
    world.scheduler.after(forMs, () => {
      over?.();
      world.say(worker.pod, `over: ${fault}`);
      const left = (this.#on.get(fault) ?? 1) - 1;
      if (left === 0) this.#on.delete(fault);
      else this.#on.set(fault, left);
    });
  }

  /** I6 and I9 for a fault that came alone. */
  #judgeAlone(fault: FaultName, starts: number): void {
    const { boundMs } = faults[fault] as Fault;
    const { longestDownMs } = this.#world.checker;
    this.#world.coverage.count(`alone ${fault}`);
    if (boundMs === undefined) return;
    if (boundMs === 0 && starts > 0) throw new Violation("I9", `${starts} bots were restarted by "${fault}" alone`);
    if (longestDownMs > boundMs && boundMs > 0)
      throw new Violation(
        "I6",
        `a bot was down for ${Math.round(longestDownMs)} ms by "${fault}" alone, at most ${boundMs} ms are promised`,
      );
  }

  /** Stands for the leader's Lease: within some seconds of losing one leader there is another. It may be wrong: a stopped
   *  leader does not know that it is none any more. */
  #elect(): void {
    const world = this.#world;
    const { scheduler, chance } = world;
    const living = world.living().filter((w) => w.phase === "up" && !w.isPaused && !w.isDraining && !w.isGivingUp);
    const able = living.filter((w) => world.network.canReach(w.pod, "kube"));
    const leaders = able.filter((w) => w.leader.isLeading);
    for (const leader of leaders) if (leader.leader.hasFailed) leader.leader.resign();
    // Who has lost sight of the books does not stand.
    const fit = able.filter((w) => !w.leader.hasFailed);
    const holder = leaders.find((w) => w.leader.isLeading);
    if (holder !== undefined) {
      this.#lastLeader = holder;
      this.#leaderless = 0;
    } else this.#leaderless += 1;
    // A clean good-bye is noticed at once, a silent one when the Lease has run out.
    const isClean = this.#lastLeader?.isDraining === true;
    if (fit.length > 0 && (isClean ? this.#leaderless > 0 : this.#leaderless > 2 && (chance.is(0.3) || this.#leaderless > 7))) {
      for (const other of world.living()) if (!other.isPaused && other.leader.isLeading) other.leader.resign();
      const seasoned = fit.filter((w) => w.leader.isSeasoned);
      chance.pick(seasoned.length > 0 ? seasoned : fit).leader.lead();
      this.#leaderless = 0;
    }
    scheduler.after(1_000, () => this.#elect());
  }
}
