// One mutant, in a process of its own (hook.ts is loaded first): plays until an invariant breaks. Prints one line of JSON.
import type { Ending } from "../sim/play.ts";

const { aimedPlay, perform, playOf, scriptedPlay } = await import("../sim/play.ts");
const { Coverage } = await import("../sim/coverage.ts");
const { shrink, timeline } = await import("../sim/shrink.ts");
const { mutants } = await import("./mutants.ts");

const seeds = Number(process.argv[2] ?? 1_000);
const isTold = process.argv[3] === "--tell";
const { aims, script } = mutants.find(({ name }) => name === process.env["MUTANT"]) ?? {};

function findBroken(): Ending | undefined {
  for (let seed = 0; seed < seeds; seed++) {
    const play = script !== undefined ? scriptedPlay(seed, script) : aims !== undefined ? aimedPlay(seed, aims) : playOf(seed);
    const ending = perform(play, new Coverage());
    if (ending.violation !== undefined) return ending;
  }
  return undefined;
}

const found = findBroken();
if (found === undefined) console.log(JSON.stringify({ killed: false }));
else {
  const least = shrink(found);
  if (isTold) console.error(timeline(least));
  const { invariant = "", message = "" } = found.violation ?? {};
  console.log(
    JSON.stringify({ killed: true, invariant, message, seed: found.play.seed, faults: least.play.acts.map(({ fault }) => fault) }),
  );
}
