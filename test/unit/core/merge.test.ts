import { expect } from "chai";
import * as fc from "fast-check";
import { compareIds } from "../../../src/core/ids.ts";
import { mergeSorted, type Row } from "../../../src/core/merge.ts";

async function* stream(ids: readonly string[]): AsyncGenerator<string> {
  yield* ids;
}

async function rows(streams: readonly (readonly string[])[]): Promise<Row<string>[]> {
  return Array.fromAsync(mergeSorted(streams.map(stream), (id) => id));
}

describe("core/merge mergeSorted()", () => {
  it("joins what stands under one id", async () => {
    expect(
      await rows([
        ["a", "c"],
        ["b", "c"],
      ]),
    ).to.deep.equal([
      { id: "a", parts: ["a", undefined] },
      { id: "b", parts: [undefined, "b"] },
      { id: "c", parts: ["c", "c"] },
    ]);
  });

  it("gives each id of any streams once, in order, with all its parts", async () => {
    const ids = fc.uniqueArray(fc.string({ unit: "binary", maxLength: 4 }), { maxLength: 30 }).map((all) => all.toSorted(compareIds));
    await fc.assert(
      fc.asyncProperty(ids, ids, ids, async (a, b, c) => {
        const gives = await rows([a, b, c]);
        expect(gives.map((r) => r.id)).to.deep.equal([...new Set([...a, ...b, ...c])].toSorted(compareIds));
        for (const [i, list] of [a, b, c].entries()) expect(gives.flatMap((r) => r.parts[i] ?? [])).to.deep.equal(list);
      }),
    );
  });

  it("refuses a stream that is out of order", async () => {
    const error = await rows([["b", "a"]]).catch((e: unknown) => e);
    expect(error).to.be.instanceOf(RangeError);
  });

  it("closes its streams when the reader stops early", async () => {
    let closed = false;
    async function* guarded(): AsyncGenerator<string> {
      try {
        yield "a";
        yield "b";
      } finally {
        closed = true;
      }
    }
    for await (const _row of mergeSorted([guarded()], (id) => id)) break;
    expect(closed).to.equal(true);
  });
});
