import { expect } from "chai";
import { StoreUnreachableError } from "../../../src/core/errors.ts";
import { CallsInHand } from "../../../src/process/calls-in-hand.ts";
import { FakeClock } from "../../support/fake-clock.ts";

describe("process/calls-in-hand CallsInHand", () => {
  let clock: FakeClock;
  let begun: string[];
  let late: unknown[];
  let calls: CallsInHand<string>;
  const passing = new StoreUnreachableError("Cannot reach it: the test says so");
  const fatal = new TypeError("a mistake of ours");

  beforeEach(() => {
    clock = new FakeClock();
    begun = [];
    late = [];
    calls = new CallsInHand({ clock, patienceMs: 500, width: 2, onLate: (fault) => late.push(fault) });
  });

  /** A call that takes so long, in ms, and ends with that fault. */
  const call = (key: string, tookMs = 0, fault?: Error) =>
    [
      key,
      async () => {
        begun.push(key);
        if (tookMs > 0) await clock.sleep(tookMs, new AbortController().signal);
        if (fault !== undefined) throw fault;
      },
    ] as const;

  /** How the round ended, and when. */
  const round = (...these: ReturnType<typeof call>[]): Promise<unknown> => {
    const from = clock.mono();
    return calls.run(these).then(
      () => clock.mono() - from,
      (fault: unknown) => fault,
    );
  };

  it("ends a round with its last answer, however many calls there are", async () => {
    const ended = round(...["a", "b", "c", "d", "e"].map((key) => call(key, 10)));
    await clock.advance(100);
    expect([await ended, begun, calls.isEmpty, late]).to.deep.equal([30, ["a", "b", "c", "d", "e"], true, []]);
  });

  it("goes on without an answer that is late, and tells when it has come", async () => {
    const ended = round(call("a", 2_000), call("b", 10));
    await clock.advance(500);
    expect([await ended, calls.has("a"), calls.has("b"), late]).to.deep.equal([500, true, false, []]);
    await clock.advance(1_500);
    expect([calls.isEmpty, late]).to.deep.equal([true, [undefined]]);
  });

  it("begins no second call of a key that has one in hand, and waits for none of an earlier round", async () => {
    void round(call("a", 2_000));
    await clock.advance(500);
    expect(await round(call("a"))).to.equal(0);
    const next = round(call("a"), call("b", 10));
    await clock.advance(10);
    expect([await next, begun]).to.deep.equal([10, ["a", "b"]]);
    await clock.advance(2_000);
  });

  it("never has more in hand than its width", async () => {
    void round(call("a", 2_000), call("b", 2_000), call("c"));
    await clock.advance(500);
    await round(call("c"));
    expect(begun).to.deep.equal(["a", "b"]);
    await clock.advance(1_500);
    await round(call("c"));
    expect(begun).to.deep.equal(["a", "b", "c"]);
  });

  it("ends a round with a fault, after the calls beside it and before those behind it", async () => {
    const ended = round(call("a", 0, passing), call("b", 10), call("c"));
    await clock.advance(10);
    expect([await ended, begun]).to.deep.equal([passing, ["a", "b"]]);
  });

  it("throws the fault that does not pass by itself before one that does", async () => {
    expect(await round(call("a", 0, passing), call("b", 0, fatal))).to.equal(fatal);
  });

  for (const { what, fault, next } of [
    { what: "tells of a late fault that passes by itself, and goes on", fault: passing, next: 0 },
    { what: "tells of a late fault that does not, and throws it from each later round", fault: fatal, next: fatal },
  ])
    it(what, async () => {
      void round(call("a", 600, fault));
      await clock.advance(600);
      expect(late).to.deep.equal([fault]);
      expect([await round(call("b")), await round()]).to.deep.equal([next, next]);
    });

  it("tells when nothing is in hand any more", async () => {
    void round(call("a", 2_000));
    await clock.advance(500);
    let isOver = false;
    const ended = calls.ended().then(() => (isOver = true));
    await clock.advance(1_499);
    expect(isOver).to.equal(false);
    await clock.advance(1);
    await ended;
    expect(isOver).to.equal(true);
  });
});
