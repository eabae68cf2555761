import { setTimeout as delay } from "node:timers/promises";

/** Asks until the answer is there and gives it back. Fails after the limit, with what was seen last.
 *  @param limitMs generous: it bounds a hang, it is not a measurement. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined | false | null>,
  limitMs = 20_000,
  seen: () => Promise<string> = () => Promise.resolve(""),
): Promise<T> {
  const began = performance.now();
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false && answer !== null) return answer;
    if (performance.now() - began > limitMs) throw new Error(`Waited ${limitMs} ms in vain until ${what}; last seen: ${await seen()}`);
    await delay(50);
  }
}
