import { expect } from "chai";
import fc from "fast-check";

import { findDuplicates, findUnrun, type Interval, measureEffect, quantile } from "../../../scripts/faults/analysis.ts";
import { type Packet, readPacket } from "../../../scripts/faults/packet.ts";
import { foldPacket, lostPackets, type Run, splitSilences } from "../../../scripts/faults/runs.ts";

const EVERY = 20;
const life = (bot: string, first: number, last: number, more: Partial<Run> = {}): Run => {
  const count = Math.floor((last - first) / EVERY) + 1;
  return { bot, epoch: 1, run: `${bot}-${first}`, first, last, count, maxSeq: count - 1, maxGap: EVERY, ended: false, ...more };
};
const packet = (seq: number, at: number, last = false): Packet => ({ bot: "a", epoch: 7, run: "r", seq, at, last });
const fold = (packets: readonly Packet[]): Run => {
  const run = packets.reduce<Run | undefined>(foldPacket, undefined);
  if (run === undefined) throw new Error("no packets");
  return run;
};

describe("readPacket()", () => {
  const bytes = Buffer.alloc(43);
  bytes.write("BCN1");
  bytes.writeUInt32LE(1, 4);
  bytes.writeBigUInt64LE(255n, 8);
  bytes.writeBigUInt64LE(3n, 16);
  bytes.writeBigUInt64LE(1_764_000_000n, 24);
  bytes.writeBigUInt64LE(2_500_000n, 32);
  bytes.write("bot", 40);

  it("reads what a beacon sends", () => {
    const gives = { bot: "bot", epoch: 1_764_000_000, run: "00000000000000ff", seq: 3, at: 2.5, last: true };
    expect(readPacket(bytes)).to.deep.equal(gives);
  });

  it("leaves what no beacon sends", () => {
    expect(readPacket(Buffer.from("hello"))).to.equal(undefined);
    expect(readPacket(bytes.subarray(0, 40))).to.equal(undefined);
  });
});

describe("foldPacket()", () => {
  it("counts the datagrams that did not come", () => {
    expect(lostPackets([fold([packet(0, 0), packet(1, 20), packet(4, 80)])])).to.equal(2);
  });

  it("knows how long the silence between two datagrams was, and that the bot said goodbye", () => {
    expect(fold([packet(0, 0), packet(1, 20), packet(2, 170), packet(3, 180, true)])).to.include({ maxGap: 150, ended: true, last: 180 });
  });

  it("gives the same ends and losses for each order", () => {
    const inOrder = [...Array(8).keys()].map((n) => packet(n, n * EVERY));
    fc.assert(
      fc.property(fc.shuffledSubarray(inOrder, { minLength: 1 }), (some) => {
        const run = fold(some);
        const times = some.map(({ at }) => at);
        expect([run.first, run.last]).to.deep.equal([Math.min(...times), Math.max(...times)]);
        expect(lostPackets([run])).to.equal(Math.max(...some.map(({ seq }) => seq)) + 1 - some.length);
      }),
    );
  });
});

describe("splitSilences()", () => {
  const frozen = fold([packet(0, 0), packet(1, 20), packet(2, 5_000), packet(3, 5_020), packet(4, 9_000)]);

  it("takes a life that stood still apart where it did", () => {
    const pieces = splitSilences([frozen]).map(({ first, last }) => [first, last]);
    expect(pieces).to.deep.equal([
      [0, 20],
      [5_000, 5_020],
      [9_000, 9_000],
    ]);
  });

  it("leaves a life alone that was slow", () => {
    const slow = fold([packet(0, 0), packet(1, 999)]);
    expect(splitSilences([slow])).to.deep.equal([slow]);
  });

  it("lets a bot that went on elsewhere run twice only once the frozen one wakes", () => {
    const successor = life("a", 3_000, 5_010);
    const all = measureEffect(splitSilences([frozen, successor]), ["a"], { from: 0, to: 10_000 }, { everyMs: EVERY });
    expect(all.duplicateMs).to.equal(10);
    expect(measureEffect([frozen, successor], ["a"], { from: 0, to: 10_000 }, { everyMs: EVERY }).duplicateMs).to.equal(2_010);
  });
});

describe("findDuplicates()", () => {
  const cases: { why: string; given: Run[]; gives: [string, number, number][] }[] = [
    { why: "nothing in one life after the other", given: [life("a", 0, 100), life("a", 101, 200)], gives: [] },
    { why: "nothing in two bots at once", given: [life("a", 0, 100), life("b", 0, 100)], gives: [] },
    { why: "the time that two lives share", given: [life("a", 0, 100), life("a", 60, 200)], gives: [["a", 60, 100]] },
    { why: "a life inside another", given: [life("a", 50, 70), life("a", 0, 100)], gives: [["a", 50, 70]] },
    { why: "one shared instant", given: [life("a", 0, 100), life("a", 100, 200)], gives: [["a", 100, 100]] },
    {
      why: "a long life under several short ones",
      given: [life("a", 0, 500), life("a", 100, 110), life("a", 300, 310)],
      gives: [
        ["a", 100, 110],
        ["a", 300, 310],
      ],
    },
  ];
  for (const { why, given, gives } of cases) {
    it(`finds ${why}`, () => {
      expect(findDuplicates(given).map(({ bot, from, to }) => [bot, from, to])).to.deep.equal(gives);
    });
  }

  it("finds as much as a look at each millisecond does", () => {
    fc.assert(
      fc.property(arbLives, (lives) => {
        const found = findDuplicates(lives);
        const pairs = lives.flatMap((a, i) => lives.slice(i + 1).filter((b) => a.first <= b.last && b.first <= a.last));
        expect(found).to.have.lengthOf(pairs.length);
        for (let t = 0; t <= 400; t++) {
          const alive = lives.filter(({ first, last }) => first <= t && t <= last).length;
          expect(found.some(({ from, to }) => from <= t && t <= to)).to.equal(alive > 1);
        }
      }),
    );
  });
});

describe("findUnrun()", () => {
  it("finds the gaps, at the edges too, and a bot that never ran", () => {
    const gaps = findUnrun([life("a", 100, 200), life("a", 300, 380)], ["a", "b"], { from: 0, to: 400 });
    expect(gaps).to.deep.equal([
      { bot: "a", from: 0, to: 100 },
      { bot: "a", from: 200, to: 300 },
      { bot: "a", from: 380, to: 400 },
      { bot: "b", from: 0, to: 400 },
    ]);
  });

  it("is what the lives leave of the window", () => {
    fc.assert(
      fc.property(arbLives, arbWindow, (lives, window) => {
        const gaps = findUnrun(lives, ["a"], window);
        for (let t = window.from + 0.5; t < window.to; t++) {
          const alive = lives.some(({ first, last }) => first <= t && t <= last);
          expect(gaps.some(({ from, to }) => from < t && t < to)).to.equal(!alive);
        }
      }),
    );
  });
});

describe("measureEffect()", () => {
  const window = { from: 1_000, to: 5_000 };
  const effect = (...runs: Run[]) => measureEffect(runs, ["a"], window, { everyMs: EVERY });

  it("sees nothing where a life goes on", () => {
    const gives = { bots: 1, duplicateMs: 0, worstDuplicateMs: 0, unrunMs: [0], restarts: 0, resolutionMs: EVERY, silent: [] };
    expect(effect(life("a", 0, 9_000))).to.deep.equal(gives);
  });

  it("takes the next datagram, which is only on its way, for no gap", () => {
    expect(effect(life("a", 0, 4_990)))
      .to.include({ restarts: 0 })
      .and.to.have.deep.property("silent", []);
  });

  it("measures from the last datagram of one life to the first of the next", () => {
    expect(effect(life("a", 0, 2_000), life("a", 2_700, 6_000))).to.deep.include({ unrunMs: [700], restarts: 1, duplicateMs: 0 });
  });

  it("names the bot that does not come back", () => {
    expect(effect(life("a", 0, 2_000))).to.deep.include({ unrunMs: [3_000], silent: ["a"] });
  });

  it("knows for how long the worst bot ran twice", () => {
    const twice = [life("a", 1_000, 2_000), life("a", 1_990, 3_000), life("a", 2_960, 9_000), life("b", 0, 1_500), life("b", 1_480, 9_000)];
    expect(measureEffect(twice, ["a", "b"], window, { everyMs: EVERY })).to.include({ duplicateMs: 70, worstDuplicateMs: 50 });
  });

  it("says what it could not have seen", () => {
    expect(effect(life("a", 0, 9_000, { maxGap: 310 })).resolutionMs).to.equal(310);
  });

  it("counts one shared instant as a duplicate, and none of what was before the window", () => {
    expect(effect(life("a", 0, 2_000), life("a", 2_000, 6_000)).duplicateMs).to.be.greaterThan(0);
    expect(effect(life("a", 0, 600), life("a", 500, 6_000)).duplicateMs).to.equal(0);
  });
});

describe("quantile()", () => {
  it("takes the nearest rank", () => {
    const hundred = [...Array(100).keys()].map((n) => n + 1);
    expect([0.5, 0.99, 1].map((share) => quantile(hundred, share))).to.deep.equal([50, 99, 100]);
    expect(quantile([3], 0.5)).to.equal(3);
    expect(() => quantile([], 0.5)).to.throw(RangeError);
  });
});

const arbInterval = fc.tuple(fc.nat(300), fc.nat(100)).map(([from, length]) => ({ from, to: from + length }) satisfies Interval);
const arbWindow = arbInterval;
const arbLives = fc.array(arbInterval, { maxLength: 6 }).map((all) => all.map(({ from, to }) => life("a", from, to)));
