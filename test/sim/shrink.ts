import { Coverage } from "./coverage.ts";
import { type Ending, perform, type Play } from "./play.ts";

/** The fewest faults that still break the same invariant, found by leaving out one after another. */
export function shrink(found: Ending): Ending {
  const invariant = found.violation?.invariant;
  let best = found;
  for (let i = 0; i < best.play.acts.length;) {
    const acts = best.play.acts.toSpliced(i, 1);
    const tried = perform({ ...best.play, acts }, new Coverage());
    if (tried.violation?.invariant === invariant) best = tried;
    else i += 1;
  }
  return perform(best.play, new Coverage(), { isTold: true });
}

/** A run as a person reads it; of a broken one the last minutes before the break. */
export function timeline({ play, lines, violation }: Ending): string {
  const end = lines.at(-1)?.at ?? 0;
  const shown = violation === undefined ? lines : lines.filter(({ at }) => at > end - 120_000);
  return [
    `seed ${play.seed}, ${play.acts.length} faults`,
    ...shown.map(({ at, who, what }) => `${(at / 1_000).toFixed(3).padStart(9)} s  ${who.padEnd(8)} ${what}`),
    violation === undefined ? "no invariant was broken" : `BROKEN ${violation.message}`,
    `play: ${playText(play)}`,
  ].join("\n");
}

/** What to paste into a regression case. */
function playText(play: Play): string {
  return JSON.stringify(play);
}
