import { expect } from "chai";

import { until } from "../../../scripts/lib/command.ts";

/** A look that gives its value at the last call and keeps the process busy for so long. */
function look(calls: number, ms: number): () => Promise<number | undefined> {
  let n = 0;
  return async () => {
    for (const end = performance.now() + ms; performance.now() < end;);
    return ++n < calls ? undefined : n;
  };
}

describe("until", () => {
  it("gives what the look gives", async () => {
    expect(await until("it", 5_000, look(3, 0), 1)).to.equal(3);
  });
  it("names what it has waited for", async () => {
    const error = await until("a miracle", 5, look(Infinity, 0), 1).catch((thrown: Error) => thrown);
    expect(error).to.have.property("message", "Cannot see a miracle within 0.005 s");
  });
  it("leaves four fifths of the time to what is waited for, however long a look takes", async () => {
    const began = performance.now();
    await until("it", 5_000, look(3, 30), 1);
    expect(performance.now() - began).to.be.least(3 * 30 + 2 * 4 * 30 - 2); // timers come up to 1 ms early
  });
});
