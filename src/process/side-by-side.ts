/** Runs `act` for all items, at most `width` at a time, and gives the results in order.
 *  @throws the first fault, after the acts under way have ended; later items are not begun. */
export async function sideBySide<T, R>(items: readonly T[], width: number, act: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let i = 0; i < items.length; i += width) {
    const ends = await Promise.allSettled(items.slice(i, i + width).map(act));
    for (const end of ends) {
      if (end.status === "rejected") throw end.reason;
      results.push(end.value);
    }
  }
  return results;
}
