import { expect } from "chai";
import * as fc from "fast-check";
import { CRASH_MAX_MS, CRASH_RESET_MS, crashDelayMs, retryDelayMs } from "../../../src/core/backoff.ts";
import {
  afterAdoption,
  afterExit,
  afterFailedStart,
  afterHeldName,
  afterMissingImage,
  afterStart,
  type BotMemory,
  FRESH,
} from "../../../src/core/restart.ts";
import { anExit, at, hash } from "../../support/builders.ts";
import type { ContainerId } from "../../../src/core/ids.ts";

const noJitter = (): number => 0;
const c1 = "c1" as ContainerId;
const up = afterStart(FRESH, hash(), c1, at(0));

describe("core/restart afterExit()", () => {
  for (const { why, policy, code, gives } of [
    { why: "always restarts a crash", policy: "always", code: 1, gives: "crashed" },
    { why: "always restarts a clean exit as well", policy: "always", code: 0, gives: "crashed" },
    { why: "on-failure restarts a crash", policy: "on-failure", code: 1, gives: "crashed" },
    { why: "on-failure completes on 0", policy: "on-failure", code: 0, gives: "completed" },
    { why: "never completes on 0", policy: "never", code: 0, gives: "completed" },
    { why: "never fails on anything else", policy: "never", code: 137, gives: "failed" },
  ] as const) {
    it(why, () => {
      const { memory, why: end } = afterExit(up, policy, anExit({ code }), at(100), noJitter);
      expect(end).to.equal(gives);
      expect(memory.done).to.equal(gives === "crashed" ? undefined : gives);
      expect(memory.nextStart).to.equal(gives === "crashed" ? 1_100 : undefined);
    });
  }

  it("starts at once what died with its Engine, and counts no crash", () => {
    const died = anExit({ code: 255, withEngine: true });
    const { memory, why } = afterExit({ ...up, attempt: 3 }, "always", died, at(100), noJitter);
    expect([why, memory.attempt, memory.nextStart, memory.container]).to.deep.equal(["lost", 3, undefined, up.container]);
    expect(afterExit(up, "never", died, at(100), noJitter).why).to.equal("failed");
  });

  it("says nothing about a bot that we stopped", () => {
    const { memory, why } = afterExit({ ...up, stopping: "outdated" }, "never", anExit({ code: 143 }), at(100), noJitter);
    expect(why).to.equal("stopped");
    expect(memory).to.deep.equal({ spec: hash(), attempt: 0, restarts: 0 });
  });

  it("doubles the wait with each crash in a row", () => {
    let memory = up;
    const waits: number[] = [];
    for (let crash = 0; crash < 11; crash++) {
      memory = afterExit(memory, "always", anExit(), at(0), noJitter).memory;
      waits.push(memory.nextStart ?? -1);
      memory = afterStart(memory, hash(), c1, at(0));
    }
    expect(waits).to.deep.equal([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300].map((s) => s * 1_000));
    expect(memory.restarts).to.equal(11);
  });

  it("forgets earlier crashes after ten minutes up", () => {
    const crashed = { ...up, attempt: 5 };
    const wait = (ms: number): number => (afterExit(crashed, "always", anExit(), at(ms), noJitter).memory.nextStart ?? 0) - ms;
    expect(wait(CRASH_RESET_MS)).to.equal(1_000);
    expect(wait(CRASH_RESET_MS - 1)).to.equal(32_000);
  });

  it("starts counting afresh when the document changed", () => {
    expect(afterStart({ ...up, attempt: 5, restarts: 9 }, hash("other"), c1, at(5))).to.include({ attempt: 0, restarts: 0 });
    expect(afterAdoption({ ...up, attempt: 5, restarts: 9 }, hash(), c1, at(5))).to.include({ attempt: 5, restarts: 9 });
    expect(afterFailedStart({ ...up, attempt: 5 }, hash("other"), at(0), noJitter)).to.include({ attempt: 1, nextStart: 1_000 });
  });
});

describe("core/restart afterMissingImage()", () => {
  const crashed = { ...FRESH, spec: hash(), attempt: 3, restarts: 2 };
  for (const { why, spec, fault, gives } of [
    { why: "stays", spec: hash(), fault: { permanent: true, retryMs: undefined }, gives: { attempt: 3, restarts: 2, imageless: true } },
    {
      why: "waits as long as it is told",
      spec: hash(),
      fault: { permanent: false, retryMs: 7_000 },
      gives: { attempt: 3, restarts: 2, nextStart: 7_100 },
    },
    {
      why: "waits like a crash untold",
      spec: hash(),
      fault: { permanent: false, retryMs: undefined },
      gives: { attempt: 4, restarts: 2, nextStart: 8_100 },
    },
    {
      why: "starts afresh with another document",
      spec: hash("b"),
      fault: { permanent: false, retryMs: 5 },
      gives: { attempt: 0, restarts: 0, nextStart: 105 },
    },
  ])
    it(why, () => expect(afterMissingImage(crashed, spec, fault, at(100), noJitter)).to.deep.equal({ spec, ...gives }));

  it("is over with a document that has its image", () => {
    const stuck = afterMissingImage(crashed, hash(), { permanent: true, retryMs: undefined }, at(0), noJitter);
    expect(afterStart(stuck, hash("b"), c1, at(1))).to.not.have.property("imageless");
    expect(afterMissingImage(stuck, hash("b"), { permanent: false, retryMs: 1 }, at(1), noJitter)).to.not.have.property("imageless");
  });
});

describe("core/restart afterHeldName()", () => {
  const held = (from: BotMemory, ms: number) => afterHeldName(from, hash(), at(ms), noJitter);

  it("counts from the first refusal, also across documents, and no crash", () => {
    const first = held({ ...FRESH, spec: hash(), attempt: 3, restarts: 2 }, 100);
    expect(first).to.deep.include({ attempt: 3, restarts: 2, nextStart: 1_100, nameHeld: { since: 100, tries: 1, isStuck: false } });
    const later = afterHeldName(first, hash("b"), at(60_100), noJitter);
    expect(later).to.deep.include({ spec: hash("b"), attempt: 0, nameHeld: { since: 100, tries: 2, isStuck: true } });
  });

  it("is forgotten with a start, an adoption, and a start that failed for another reason", () => {
    const stuck = held(held(FRESH, 0), 60_000);
    for (const next of [
      afterStart(stuck, hash(), c1, at(60_001)),
      afterAdoption(stuck, hash(), c1, at(60_001)),
      afterFailedStart(stuck, hash(), at(60_001), noJitter),
    ])
      expect(next).to.not.have.property("nameHeld");
  });
});

describe("core/backoff", () => {
  it("crashDelayMs() stays between three quarters and the whole of its step, and under five minutes", () => {
    fc.assert(
      fc.property(fc.nat(200), fc.double({ min: 0, max: 0.999, noNaN: true }), (attempt, random) => {
        const full = Math.min(CRASH_MAX_MS, 1_000 * 2 ** attempt);
        const delay = crashDelayMs(attempt, () => random);
        return delay >= full * 0.75 - 1 && delay <= full;
      }),
    );
  });

  it("retryDelayMs() never exceeds 30 s", () => {
    fc.assert(fc.property(fc.nat(500), (attempt) => retryDelayMs(attempt, () => 0.999) <= 30_000));
  });
});
