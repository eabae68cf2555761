import type { Container } from "./containers.ts";
import type { BotId, SegmentId } from "./ids.ts";
import type { Tenures } from "./tenure.ts";

/** Segments that are on their way out and for whose bots no call is in hand: only of these can a list tell anything.
 *  `busy`: bots with a call in hand, or whose last call's outcome is unknown. `segmentOf` gives nothing for a bot that
 *  nobody wants any more: which segment its call is about is not known, so it could be any of them. */
export function quietSegments(tenures: Tenures, busy: Iterable<BotId>, segmentOf: (bot: BotId) => SegmentId | undefined): SegmentId[] {
  const loud = new Set<SegmentId>();
  for (const bot of busy) {
    const segment = segmentOf(bot);
    if (segment === undefined) return [];
    loud.add(segment);
  }
  return [...tenures].flatMap(([segment, { state }]) => (state === "leaving" && !loud.has(segment) ? [segment] : []));
}

/** The stop proof for quiet segments, by a list of all containers that was asked for while they were quiet: `proven` are
 *  those of which no container exists, created ones included; `left` are bots that stand in the way of the others.
 *  INVARIANT: a start that is still on its way was asked for a container that the list would show. */
export function proveStopped(
  quiet: readonly SegmentId[],
  containers: readonly Container[],
): { readonly proven: SegmentId[]; readonly left: BotId[] } {
  const inTheWay = containers.filter(({ segment }) => quiet.includes(segment));
  const occupied = new Set(inTheWay.map(({ segment }) => segment));
  return { proven: quiet.filter((segment) => !occupied.has(segment)), left: inTheWay.map(({ bot }) => bot) };
}
