import { expect } from "chai";

import { compareSnapshots, type Snapshot } from "../../../scripts/lib/machine-snapshot.ts";

const bare: Snapshot = { processes: [], mounts: [], networkNamespaces: [], links: [], cgroups: [], firewall: [] };

describe("compareSnapshots()", () => {
  const cases: { why: string; before: Partial<Snapshot>; after: Partial<Snapshot>; gives: string[] }[] = [
    { why: "nothing where nothing changed", before: { links: ["lo"] }, after: { links: ["lo"] }, gives: [] },
    { why: "what came", before: {}, after: { links: ["docker0"] }, gives: ["+ links: docker0"] },
    { why: "what went", before: { mounts: ["a"] }, after: {}, gives: ["- mounts: a"] },
    { why: "a second of the same", before: { firewall: ["-A X"] }, after: { firewall: ["-A X", "-A X"] }, gives: ["+ firewall: -A X"] },
  ];
  for (const { why, before, after, gives } of cases) {
    it(`shows ${why}`, () => {
      expect(compareSnapshots({ ...bare, ...before }, { ...bare, ...after })).to.deep.equal(gives);
    });
  }
});
