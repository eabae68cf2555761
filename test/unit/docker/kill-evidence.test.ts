import { expect } from "chai";
import type { ContainerId } from "../../../src/core/ids.ts";
import { KillEvidence } from "../../../src/docker/kill-evidence.ts";

const id = (n: number | string): ContainerId => String(n) as ContainerId;

describe("KillEvidence judge()", () => {
  for (const { why, code, flag, saw, stops, gives } of [
    { why: "the flag, whatever the code", code: 5, flag: true, saw: false, stops: false, gives: "oom" },
    { why: "the flag, though we stopped it", code: 137, flag: true, saw: true, stops: true, gives: "oom" },
    { why: "137 after an event, without a flag", code: 137, flag: false, saw: true, stops: false, gives: "likely-oom" },
    { why: "137 after an event, but we were about to stop it", code: 137, flag: false, saw: true, stops: true, gives: "no" },
    { why: "137 alone, as any SIGKILL gives", code: 137, flag: false, saw: false, stops: false, gives: "no" },
    { why: "a child was killed and the bot ended otherwise", code: 1, flag: false, saw: true, stops: false, gives: "no" },
  ]) {
    it(`says ${gives}: ${why}`, () => {
      const evidence = new KillEvidence();
      evidence.sawOom(id(saw ? 1 : 2));
      evidence.stops(id(stops ? 1 : 2));
      expect(evidence.judge(id(1), code, flag)).to.equal(gives);
    });
  }

  it("remembers the latest 1024, so that a fleet in trouble costs no memory", () => {
    const evidence = new KillEvidence();
    for (let n = 0; n < 1_025; n++) evidence.sawOom(id(n));
    expect([0, 1, 1_024].map((n) => evidence.judge(id(n), 137, false))).to.deep.equal(["no", "likely-oom", "likely-oom"]);
  });
});

describe("KillEvidence diedWithEngine()", () => {
  const one = id(1);
  for (const { why, code = 255, told, gives } of [
    { why: "started, then the Engine broke off", told: ["starts", "lostTouch"], gives: true },
    { why: "started by an earlier process", told: [], gives: true },
    { why: "started by an earlier process, and its end was heard of", told: ["sawDeath"], gives: false },
    { why: "ended by itself so soon that the event is still on its way", told: ["starts"], gives: false },
    { why: "ended before the Engine broke off", told: ["starts", "sawDeath", "lostTouch"], gives: false },
    { why: "started on the Engine that came after", told: ["lostTouch", "starts"], gives: false },
    { why: "another code: somebody saw it end", code: 137, told: ["starts", "lostTouch"], gives: false },
  ] as const)
    it(`${gives ? "says so" : "does not"}: ${why}`, () => {
      const evidence = new KillEvidence();
      for (const call of told) evidence[call](one);
      expect(evidence.diedWithEngine(one, code)).to.equal(gives);
    });
});
