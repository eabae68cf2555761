import type { Epoch, SegmentId, SessionId } from "./ids.ts";
import type { SegmentRecord } from "./records.ts";

/** A worker's hold on its segments. Immutable.
 *
 *  held -(revoked, draining, or released before)-> leaving -(stop proof, O5)-> gone from here.
 *  held or leaving -(the record tells of a later tenure, or of the end of this one)-> lost at once, without a proof:
 *  somebody has already proven that nothing of it can run. A record that is older than what is held, or that is missing,
 *  tells nothing: a primary that was deposed and does not know it may have answered.
 *  INVARIANT: a segment that was seen leaving stays leaving, whatever late answers say. */
type Tenure = { readonly epoch: Epoch; readonly state: "held" | "leaving" };
export type Tenures = ReadonlyMap<SegmentId, Tenure>;

/** The highest epoch of each segment that was given up from here; survives the process. */
export type ReleasedEpochs = (segment: SegmentId) => Epoch | undefined;

export type Met = {
  readonly tenures: Tenures;
  readonly gained: readonly SegmentId[];
  readonly leaving: readonly SegmentId[];
  readonly lost: readonly SegmentId[];
};

export type MeetOptions = {
  readonly sid: SessionId;
  readonly released: ReleasedEpochs;
  readonly isDraining: boolean;
  /** Draining, it keeps this one until its target is ready and the leader says so. @default it keeps none */
  readonly awaitsMove?: (record: SegmentRecord) => boolean;
};

/** Compares what was held with records: all that name `sid` as their owner, and those of all that is held. A segment that
 *  was released here before and is still written as ours leaves again: the release may not have landed, and its bots may
 *  not start in the meantime. */
export function meetSegments(
  before: Tenures,
  records: readonly SegmentRecord[],
  { sid, released, isDraining, awaitsMove = () => false }: MeetOptions,
): Met {
  const tenures = new Map(before);
  const gained: SegmentId[] = [];
  const leaving: SegmentId[] = [];
  const lost: SegmentId[] = [];
  for (const record of records) {
    const { _id: segment, epoch, state, owner } = record;
    const known = before.get(segment);
    if (known !== undefined && epoch < known.epoch) continue;
    const same = known?.epoch === epoch ? known : undefined;
    const isMine = owner === sid;
    if (known !== undefined && (same === undefined || !isMine)) {
      lost.push(segment);
      tenures.delete(segment);
    }
    if (!isMine) continue;
    if (same === undefined) gained.push(segment);
    const gives = isDraining && (same === undefined || !awaitsMove(record));
    const leaves = state !== "assigned" || gives || isReleased(released, segment, epoch);
    if (leaves && same?.state !== "leaving") leaving.push(segment);
    tenures.set(segment, { epoch, state: leaves || same?.state === "leaving" ? "leaving" : "held" });
  }
  return { tenures, gained, leaving, lost };
}

/** The start gate's part: ours under that epoch, staying, and not an epoch that was let go here before. */
export function mayStartIn(tenures: Tenures, released: ReleasedEpochs, segment: SegmentId, epoch: Epoch): boolean {
  const tenure = tenures.get(segment);
  return tenure?.epoch === epoch && tenure.state === "held" && !isReleased(released, segment, epoch);
}

function isReleased(released: ReleasedEpochs, segment: SegmentId, epoch: Epoch): boolean {
  const last = released(segment);
  return last !== undefined && epoch <= last;
}
