import { expect } from "chai";
import type { Leadership } from "../../src/core/election.ts";
import type { Election } from "../../src/leader/elector.ts";
import { sid } from "../support/builders.ts";

const by = (holder: string | null, over: Partial<Leadership> = {}): Leadership => ({
  holder: holder === null ? null : sid(holder),
  leaseMs: 8_000,
  changes: 1,
  ...over,
});

/** What every place of the lease of leadership promises. Each test begins without one. */
export function electionContract(subject: () => Election): void {
  async function win(record: Leadership, expect?: string): Promise<string> {
    const written = await subject().write(record, expect);
    if (written === "conflict") throw new Error("Cannot write: a conflict");
    return written.version;
  }

  it("finds nothing before the first leader", async () => expect(await subject().read()).to.equal(undefined));

  it("is taken by the first who writes, and by no second", async () => {
    const version = await win(by("a"));
    expect(await subject().write(by("b"), undefined)).to.equal("conflict");
    expect(await subject().read()).to.deep.equal({ record: by("a"), version });
  });

  it("is taken by exactly one of many at once", async () => {
    const names = ["a", "b", "c", "d", "e"];
    const first = await Promise.all(names.map((name) => subject().write(by(name), undefined)));
    const won = first.filter((written) => written !== "conflict");
    expect(won.length).to.equal(1);
    expect(await subject().read()).to.deep.equal(won[0]);
    const second = await Promise.all(names.map((name) => subject().write(by(name), won[0]?.version)));
    expect(second.filter((written) => written !== "conflict").length).to.equal(1);
  });

  it("has another version after each write, also of the same record", async () => {
    const versions = [await win(by("a"))];
    for (let n = 0; n < 3; n++) versions.push(await win(by("a"), versions.at(-1)));
    expect(new Set(versions).size).to.equal(4);
    expect((await subject().read())?.version).to.equal(versions.at(-1));
  });

  it("refuses a write that has seen an older version", async () => {
    const old = await win(by("a"));
    const now = await win(by("a"), old);
    expect(await subject().write(by("b"), old)).to.equal("conflict");
    expect(await subject().read()).to.deep.equal({ record: by("a"), version: now });
  });

  it("keeps the whole record, and that nobody holds it", async () => {
    const given = by(null, { leaseMs: 16_000, changes: 7 });
    const version = await win(given, await win(by("a")));
    expect(await subject().read()).to.deep.equal({ record: given, version });
  });
}
