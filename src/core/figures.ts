import type { Observed } from "./assignment.ts";
import type { SessionId } from "./ids.ts";
import { isLiving } from "./session.ts";

/** The five figures, under the names that dashboards and scripts hold on to. */
export type Figures = {
  /** Active segments. */
  readonly total_segments: number;
  /** Active segments with a living owner. */
  readonly assigned_segments: number;
  /** Active segments whose last owner is dead, also after they were freed. */
  readonly orphaned_segments: number;
  /** Living sessions without the leader; with it, if it is alone. */
  readonly available_workers: number;
  /** Active segments minus workers that own at least one of them: what makes the fleet grow. */
  readonly segment_backlog: number;
};

/** The figures alone, out of what holds more than them. */
export function pickFigures({
  total_segments,
  assigned_segments,
  orphaned_segments,
  available_workers,
  segment_backlog,
}: Figures): Figures {
  return { total_segments, assigned_segments, orphaned_segments, available_workers, segment_backlog };
}

/** INVARIANT: orphaned <= total - assigned <= backlog. */
export function figuresOf({ active, segments, workers, leader, waiting }: Observed): Figures {
  const wanted = new Set(active);
  const living = new Set(workers.filter((w) => isLiving(w.state)).map((w) => w._id));
  const owners = new Set<SessionId>();
  let assigned = 0;
  let orphaned = 0;
  for (const { _id, owner } of segments) {
    if (!wanted.has(_id)) continue;
    if (owner !== null && living.has(owner)) {
      assigned += 1;
      owners.add(owner);
      continue;
    }
    const standing = waiting?.get(_id);
    const lastOwner = owner ?? (standing?.owner === null ? standing.lastOwner : null);
    if (lastOwner !== null && !living.has(lastOwner)) orphaned += 1;
  }
  // Without a leader's session of its own, one of the living is taken for it.
  const others = living.size - Number(leader === undefined ? living.size > 0 : living.has(leader));
  return {
    total_segments: wanted.size,
    assigned_segments: assigned,
    orphaned_segments: orphaned,
    available_workers: Math.max(others, Math.min(living.size, 1)),
    segment_backlog: wanted.size - owners.size,
  };
}

/** How long the oldest hand-over has stood, in ms; 0 when there is none. */
export function oldestHandOverMs({ leaving }: Pick<Observed, "leaving">): number {
  return (leaving?.values() ?? [].values()).reduce((oldest, ms) => Math.max(oldest, ms), 0);
}

/** Active segments whose owner has more than one of them. */
export function sharedSegments({ active, segments }: Observed): number {
  const wanted = new Set(active);
  const count = new Map<string, number>();
  for (const { _id, owner } of segments) if (owner !== null && wanted.has(_id)) count.set(owner, (count.get(owner) ?? 0) + 1);
  return [...count.values()].filter((n) => n > 1).reduce((sum, n) => sum + n, 0);
}
