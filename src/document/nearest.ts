/** How many single-character slips (insert, delete, replace, swap of neighbours) lie between two words; `limit + 1`
 *  when there are more than `limit`. */
export function editDistance(a: string, b: string, limit = 2): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const step = Math.min((above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (above[j - 1] ?? 0) + (same ? 0 : 1));
      row.push(swapped ? Math.min(step, (before[j - 2] ?? 0) + 1) : step);
    }
    [before, above] = [above, row];
  }
  return Math.min(above[b.length] ?? 0, limit + 1);
}

/** The word that `given` is most likely a misspelling of: one slip in a short word, two in a long one. */
export function nearest(given: string, words: readonly string[]): string | undefined {
  const reach = (word: string) => (Math.min(word.length, given.length) < 6 ? 1 : 2);
  const near = words.map((word) => ({ word, slips: editDistance(given, word) })).filter(({ word, slips }) => slips <= reach(word));
  return near.sort((a, b) => a.slips - b.slips)[0]?.word;
}
