import { expect } from "chai";
import { IMAGE_GRACE_MS, planGarbage } from "../../../src/core/garbage.ts";
import { at } from "../../support/builders.ts";

const [a1, a2, b1] = [
  { image: "a", id: "1" },
  { image: "a", id: "2" },
  { image: "b", id: "1" },
];
const long = new Map(["a 1", "a 2", "b 1"].map((key) => [key, at(0)]));

describe("core/garbage planGarbage()", () => {
  for (const { why, pulled, wanted, idle, gives, since } of [
    { why: "what is wanted stays", pulled: [a1, b1], wanted: ["a", "b"], idle: long, gives: [], since: [] },
    { why: "what nobody wants has its grace", pulled: [a1], wanted: [], idle: new Map(), gives: [], since: ["a 1"] },
    { why: "what nobody wanted for long goes", pulled: [a1, b1], wanted: ["b"], idle: long, gives: [a1], since: ["a 1"] },
    { why: "a name means its last pull", pulled: [a1, a2], wanted: ["a"], idle: long, gives: [a1], since: ["a 1"] },
    { why: "a name that came back means that", pulled: [a2, a1], wanted: ["a"], idle: long, gives: [a2], since: ["a 2"] },
  ]) {
    it(why, () => {
      const plan = planGarbage(pulled, new Set(wanted), idle, at(IMAGE_GRACE_MS));
      expect(plan.due).to.deep.equal(gives);
      expect([...plan.idleSince.keys()]).to.deep.equal(since);
    });
  }
  it("counts the grace from when it was first seen idle, anew after each use", () => {
    const first = planGarbage([a1], new Set(), new Map(), at(5));
    expect(planGarbage([a1], new Set(), first.idleSince, at(4 + IMAGE_GRACE_MS)).due).to.deep.equal([]);
    expect(planGarbage([a1], new Set(), first.idleSince, at(5 + IMAGE_GRACE_MS)).due).to.deep.equal([a1]);
    const used = planGarbage([a1], new Set(["a"]), first.idleSince, at(100));
    expect(planGarbage([a1], new Set(), used.idleSince, at(5 + IMAGE_GRACE_MS)).due).to.deep.equal([]);
  });
});
