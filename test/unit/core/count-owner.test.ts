import { expect } from "chai";
import type { MonoMs } from "../../../src/core/clock.ts";
import { type CountOwner, decideCountOwner } from "../../../src/core/count-owner.ts";

const at = (ms: number): MonoMs => ms as MonoMs;
const [hpa, person] = ["kube-controller-manager", "kubectl"];
const past = (inherited: string | null): CountOwner => ({ version: "1", inherited });

describe("core/count-owner decideCountOwner()", () => {
  for (const { why, known, version = "1", owner, switched, foreign, inherited } of [
    { why: "nobody but us", known: past(null), owner: undefined, foreign: undefined, inherited: null },
    { why: "who writes though nothing was said", known: past(null), owner: person, foreign: person, inherited: null },
    { why: "not the one who had it when this was said", known: past(hpa), owner: hpa, foreign: undefined, inherited: hpa },
    { why: "but another one", known: past(hpa), owner: person, foreign: person, inherited: hpa },
    { why: "not who has it when something new is said", known: past(null), version: "2", owner: hpa, foreign: undefined, inherited: hpa },
    { why: "not who has it when a first leader looks", known: undefined, owner: hpa, foreign: undefined, inherited: hpa },
    { why: "nobody, once we have written", known: past(hpa), owner: undefined, foreign: undefined, inherited: null },
    { why: "not who still goes, a minute long", known: past(null), owner: hpa, switched: 59_999, foreign: undefined, inherited: hpa },
    { why: "nor if we have written meanwhile", known: past(hpa), owner: undefined, switched: 59_999, foreign: undefined, inherited: hpa },
    { why: "but who still writes after it", known: past(null), owner: hpa, switched: 60_000, foreign: hpa, inherited: null },
  ]) {
    it(`calls foreign ${why}`, () => {
      const switchedAt = switched === undefined ? undefined : at(0);
      const seen = decideCountOwner(known, { version, owner, switchedAt }, at(switched ?? 0));
      expect(seen).to.deep.equal({ state: { version, inherited }, foreign });
    });
  }
});
