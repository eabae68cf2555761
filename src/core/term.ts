import type { SegmentRecord } from "./records.ts";

/** What a leader's term is worth. `lost`: somebody leads with a later one, and every write of ours misses.
 *  `outgrown`: nobody does, and yet a record tells of a later one: a create of an earlier life has landed after
 *  `runtime.*` was dropped and terms began anew. Who stays with such a term would write in vain for ever. */
export function judgeTerm(term: number, control: number | undefined, segments: readonly SegmentRecord[]): "holds" | "lost" | "outgrown" {
  if (control !== term) return "lost";
  return segments.some((s) => s.term > term) ? "outgrown" : "holds";
}
