import type { Act } from "./play.ts";

/** Faults that once broke an invariant, shrunk to the fewest that did, with what was wrong. Chance fills in the rest. */
export const regressions: readonly { readonly why: string; readonly acts: readonly Act[] }[] = [
  {
    why: "runtime.* dropped while the wall clock is behind: epochs begin below the release record (now kept for each life of the database)",
    acts: [
      { at: 30_000, fault: "wall clock jumps", victim: 0, forMs: 40_000 },
      { at: 31_000, fault: "planned moves", victim: 0 },
      { at: 37_000, fault: "runtime.* dropped", victim: 0 },
    ],
  },
  {
    why: "the word of a draining worker lost: it was given segments for ever (now every renewal says so)",
    acts: [
      { at: 30_000, fault: "replies lost", victim: 0, forMs: 20_000 },
      { at: 31_000, fault: "worker drains", victim: 0 },
    ],
  },
  {
    why: "segments read from a deposed primary: a worker took what it had just gained for lost, and killed its bots",
    acts: [
      { at: 30_000, fault: "reads out of date", victim: 0, forMs: 30_000 },
      { at: 31_000, fault: "planned moves", victim: 0 },
      { at: 38_000, fault: "planned moves", victim: 0 },
    ],
  },
  {
    why: "a create that lands after runtime.* was dropped carries a term that no new leader reaches",
    acts: [
      { at: 29_000, fault: "two leaders", victim: 1, forMs: 20_000 },
      { at: 29_500, fault: "writes land late", victim: 0, forMs: 20_000 },
      { at: 30_000, fault: "runtime.* dropped", victim: 0 },
      { at: 42_500, fault: "runtime.* dropped", victim: 0 },
    ],
  },
  {
    why: "a deactivation that lands late: the owner killed a bot that its user wants",
    acts: [
      { at: 30_000, fault: "writes land late", victim: 0, forMs: 15_000 },
      { at: 30_500, fault: "bot disabled and enabled", victim: 0, forMs: 3_000 },
    ],
  },
  {
    why: "after runtime.* was dropped a pod opened its first session over bots that a hanging dockerd had kept",
    acts: [
      { at: 30_000, fault: "dockerd hangs", victim: 1, forMs: 25_000 },
      { at: 30_500, fault: "runtime.* dropped", victim: 0 },
    ],
  },
  {
    why: "a Lease of another life of the database kept a cut-off worker alive, unseen by the new leader",
    acts: [
      { at: 30_000, fault: "worker cut from MongoDB", victim: 1, forMs: 40_000 },
      { at: 31_000, fault: "runtime.* dropped", victim: 0 },
    ],
  },
  {
    why: "a Lease begun late, in another life of the database, where nobody had marked it",
    acts: [
      { at: 30_000, fault: "worker drains", victim: 0 },
      { at: 30_050, fault: "worker cut from the API server", victim: 3, forMs: 30_000 },
      { at: 40_000, fault: "worker cut from MongoDB", victim: 2, forMs: 40_000 },
      { at: 40_500, fault: "runtime.* dropped", victim: 0 },
    ],
  },
  {
    why: "a pod that had just started led, and had to watch for L before it could end the session of the leader that was lost",
    acts: [{ at: 30_000, fault: "pod lost", victim: 0 }],
  },
  {
    why: "a mark on a Lease that was taken away again, and an observer that had not seen it ended a living session",
    acts: [
      { at: 30_000, fault: "worker cut from both", victim: 1, forMs: 11_900 },
      { at: 40_000, fault: "MongoDB read-only", victim: 0, forMs: 2_000 },
      { at: 43_900, fault: "worker cut from the API server", victim: 2, forMs: 20_000 },
      { at: 44_000, fault: "worker cut from MongoDB", victim: 1, forMs: 25_000 },
      { at: 55_200, fault: "two leaders", victim: 2, forMs: 5_000 },
    ],
  },
];
