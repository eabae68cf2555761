/** What of `record`, the end of a bot's output, does not stand in `seen` yet, the end of what was shown of it.
 *  `isWhole`: the output was shown from its beginning, else from somewhere that the record need not know. */
export function unseenOf(seen: Buffer, record: Buffer, isWhole: boolean): Buffer {
  if (!isWhole) {
    // Which of the recorded lines are older than the watching cannot be told.
    if (seen.length === 0) return Buffer.alloc(0);
    const at = record.lastIndexOf(seen);
    if (at >= 0) return record.subarray(at + seen.length);
  }
  // The longest piece that ends the one and begins the other.
  for (let shared = Math.min(seen.length, record.length); shared > 0; shared--) {
    // The first byte is looked at before the piece is cut: most lengths are ruled out by it.
    if (seen[seen.length - shared] === record[0] && seen.subarray(-shared).equals(record.subarray(0, shared)))
      return record.subarray(shared);
  }
  return record;
}
