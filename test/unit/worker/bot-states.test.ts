import { expect } from "chai";

import { bot } from "../../support/builders.ts";
import { aDocument, Fleet, fakeEngine } from "../../support/fleet.ts";

describe("states of bots as a worker counts them", () => {
  let fleet: Fleet;
  /** What the gauge of each state stands at: the same sums as telemetry makes. */
  let counts: Record<string, number>;
  const count = (state: string | undefined, by: number) => {
    if (state === undefined) return;
    counts[state] = (counts[state] ?? 0) + by;
    if (counts[state] === 0) delete counts[state];
  };

  beforeEach(() => {
    fleet = new Fleet(fakeEngine);
    counts = {};
    fleet.bus.on("bot:state", ({ from, to }) => {
      count(from, -1);
      count(to, 1);
      for (const [state, n] of Object.entries(counts)) expect(n, state).to.be.above(0);
    });
  });
  afterEach(() => fleet.end());

  for (const { why, meanwhile } of [
    { why: "adopted after a restart", meanwhile: () => undefined },
    {
      why: "whose owner died with its Engine: its last status is of another's making",
      meanwhile: () => ["a", "b"].forEach((id) => fleet.engine.vanish(bot(id))),
    },
  ])
    it(`count a bot ${why}, once`, async () => {
      await fleet.start(aDocument("a"), aDocument("b"));
      expect(counts).to.deep.equal({ running: 2 });
      await fleet.end();
      // A new process begins with empty gauges.
      counts = {};
      meanwhile();
      await fleet.startWorker();
      await fleet.clock.advance(10_000);
      expect(counts).to.deep.equal({ running: 2 });
    });
});
