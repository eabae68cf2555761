import { expect } from "chai";

import { boundsOf } from "../../../scripts/faults/bounds.ts";
import { type Batch, planFull, planShort } from "../../../scripts/faults/plan.ts";
import { rows } from "../../../scripts/faults/rows.ts";

const numbers = (batches: readonly Batch[]): string[] => batches.flatMap((batch) => batch.map(({ number }) => number));
const count = (all: readonly string[], number: string): number => all.filter((n) => n === number).length;

describe("planFull()", () => {
  it("plays each row as often as it is published", () => {
    const all = numbers(planFull(rows, undefined));
    for (const row of rows) expect(count(all, row.number), row.number).to.equal(row.n);
  });

  it("plays no row a second time before each was played", () => {
    const first = planFull(rows, undefined).slice(0, rows.length);
    expect(first.map(([row]) => row?.number)).to.deep.equal(rows.map(({ number }) => number));
  });

  it("never plays more at once than the row allows", () => {
    for (const batch of planFull(rows, 7)) expect(batch.length).to.be.at.most(batch[0]?.atOnce ?? 0);
  });
});

describe("planShort()", () => {
  it("plays each row within some seeds, and the rows that promise no duplicate by the fence with each", () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 8; seed++) {
      const all = numbers(planShort(rows, seed));
      expect(all).to.include.members(["1", "3", "4", "8", "18"]);
      for (const number of all) seen.add(number);
    }
    expect([...seen].toSorted()).to.deep.equal(rows.map(({ number }) => number).toSorted());
  });
});

describe("boundsOf()", () => {
  it("has the bound of a lost pod with one store, and twice of it for slow machines", () => {
    expect(boundsOf("default").sessionEndMs(1)).to.equal(22_400);
    expect(boundsOf("ci").sessionEndMs(1)).to.equal(44_800);
  });

  it("lets bots queue for a start", () => {
    const { startMs } = boundsOf("default");
    expect([1, 4, 5, 12].map(startMs)).to.deep.equal([400, 400, 800, 1_200]);
  });
});
