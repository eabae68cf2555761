import type { SegmentId, SessionId } from "./ids.ts";
import type { Owned } from "./survey.ts";
import { hasRoom, type Taker } from "./takers.ts";

/** Fewer is no gain: it would only swap who has more. */
const PAYS = 2;

type Spreading = {
  readonly kept: readonly Owned[];
  readonly up: ReadonlyMap<SessionId, Taker>;
  /** The leader: it may give, and gets nothing. */
  readonly spared: Taker | undefined;
  /** Workers that already give or get a segment. */
  readonly inMove: ReadonlySet<SessionId>;
  readonly botsOf: (segment: SegmentId) => number;
};

/** A segment that goes to another worker. */
type Move = { readonly record: Owned; readonly target: SessionId };

/** Decides which shared segments move to less loaded workers: the most loaded worker's smallest segment to the least
 *  loaded, the next to the next, as long as it pays. A worker gives or gets one segment at a time. While a rollout goes
 *  on nothing spreads: the old pods' segments will move anyway, and each bot shall move once.
 *  INVARIANT: each move lowers the sum of the squared loads, so that moves come to an end. */
export function planSpread({ kept, up, spared, inMove, botsOf }: Spreading): Move[] {
  const loadOf = (sid: SessionId): number => up.get(sid)?.load ?? 0;
  const smallest = new Map<SessionId, Owned>();
  for (const record of kept) {
    if (inMove.has(record.owner) || loadOf(record.owner) < PAYS) continue;
    const other = smallest.get(record.owner);
    if (other === undefined || botsOf(record._id) < botsOf(other._id)) smallest.set(record.owner, record);
  }
  const takers = [...up.values()].filter((taker) => taker !== spared);
  if (smallest.size === 0 || takers.some((taker) => taker.generation !== takers[0]?.generation)) return [];

  const sources = [...smallest.values()].sort((a, b) => loadOf(b.owner) - loadOf(a.owner));
  const targets = takers.filter((taker) => !inMove.has(taker.sid) && hasRoom(taker)).sort((a, b) => a.load - b.load);
  const moves: Move[] = [];
  for (const [i, record] of sources.entries()) {
    const target = targets[i];
    if (target === undefined || loadOf(record.owner) - target.load < PAYS) break;
    moves.push({ record, target: target.sid });
  }
  return moves;
}
