import { expect } from "chai";
import * as fc from "fast-check";
import type { Hint, Watched } from "../../../src/core/ledger.ts";
import { aDocument, fakeEngine, Fleet } from "../../support/fleet.ts";

type Step =
  | { readonly kind: "put"; readonly id: string; readonly enabled: boolean }
  | { readonly kind: "delete"; readonly id: string }
  | { readonly kind: "hint"; readonly what: Watched; readonly hint: Hint }
  | { readonly kind: "pass"; readonly ms: number };

const IDS = ["a", "b", "c", "d"];
const id = fc.constantFrom(...IDS);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant("put" as const), id, enabled: fc.boolean() }),
  fc.record({ kind: fc.constant("delete" as const), id }),
  fc.record({
    kind: fc.constant("hint" as const),
    what: fc.constantFrom<Watched>("bots", "placements", "segments"),
    hint: fc.oneof(
      fc.constant<Hint>({ kind: "all" }),
      fc.constant<Hint>({ kind: "unusable" }),
      // Of bots that did not change, that are gone, that never were; and of one bot as often as it comes.
      fc.array(fc.constantFrom(...IDS, "nobody", "7"), { maxLength: 6 }).map((ids): Hint => ({ kind: "some", ids })),
    ),
  }),
  fc.record({ kind: fc.constant("pass" as const), ms: fc.integer({ min: 0, max: 3_000 }) }),
);

describe("worker and leader: hints", () => {
  it("come to what the documents say, though hints are lost, late, doubled, out of order or about nobody", async function () {
    this.timeout(60_000);
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const fleet = new Fleet(fakeEngine);
        const enabled = new Map(IDS.slice(0, 3).map((one) => [one, true]));
        try {
          await fleet.start(...[...enabled.keys()].map((one) => aDocument(one)));
          for (const one of steps) {
            fleet.store.muted = one.kind === "put" || one.kind === "delete"; // nothing is heard of what the user does
            if (one.kind === "put") {
              enabled.set(one.id, one.enabled);
              fleet.store.putBot(aDocument(one.id, { enabled: one.enabled }));
            } else if (one.kind === "delete") {
              enabled.delete(one.id);
              fleet.store.deleteBot(one.id);
            } else if (one.kind === "hint") fleet.store.hint(one.what, one.hint);
            else await fleet.clock.advance(one.ms);
            expect(new Set(fleet.engine.running()).size).to.equal(fleet.engine.running().length);
          }
          fleet.store.muted = false;
          for (const what of ["bots", "placements", "segments"] as const) fleet.store.hint(what, { kind: "all" }); // the resync
          await fleet.clock.advance(60_000);
          expect(fleet.engine.running().toSorted()).to.deep.equal(IDS.filter((one) => enabled.get(one) === true));
        } finally {
          await fleet.end();
        }
      }),
      { numRuns: 60 },
    );
  });
});
