import { expect } from "chai";

import { namesInSegments, type Release } from "../../scripts/lib/cluster/product.ts";
import type { ClusterFleet } from "../../scripts/lib/cluster/fleet.ts";
import { scriptedValues } from "../../scripts/lib/cluster/values.ts";
import { expectSteady } from "./steady.ts";

/** The guide's own numbers. More pods than a small machine runs Engines in: these only say that they run bots, behind the
 *  real fence. */
export function manyPods(fleet: () => ClusterFleet): void {
  describe("with so many segments, and Engines that are all words", () => {
    // The other releases are Helm 4's. Whoever installed with Helm 3 goes on with that one day.
    let release: Release;
    let successor: Release;
    let ids: string[] = [];
    before(async () => {
      release = fleet().release({ namespace: "many", helm: "helm3", values: scriptedValues() });
      successor = fleet().release({ namespace: "many", helm: "helm4", values: scriptedValues() });
      await release.install();
    });
    after(async () => {
      await release.close();
      await successor.close();
    });

    for (const { segments, pods } of [
      { segments: 10, pods: 11 },
      { segments: 15, pods: 16 },
      { segments: 5, pods: 6 },
    ])
      it(`keeps ${pods} pods for ${segments} active segments`, async () => {
        const more = namesInSegments(Math.max(0, segments - ids.length), ids);
        if (more.length > 0) await release.bots.insertMany(more.map((_id) => ({ _id, image: "bot-runner/demo-bot:1" })));
        await release.bots.deleteMany({ _id: { $in: ids.slice(segments) } });
        ids = [...ids, ...more].slice(0, segments);
        const found = await release.awaitPods(pods);
        await release.awaitRunning(ids);
        const workers = [...(await release.states()).values()].map(({ worker }) => worker);
        expect(new Set(workers).size).to.equal(segments);
        expect(found.filter(({ name }) => !workers.includes(name)).map(({ name }) => name)).to.deep.equal([(await release.leader()).name]);
      });

    it("grew straight to each target, and shrank no further than to what was left", async () => {
      const counts = [1, ...(await release.scalings()).map(({ replicas = 0 }) => replicas)];
      // The first look may come before the bots.
      expect(counts.filter((count, at) => count > (counts[at - 1] ?? count) && count !== 3)).to.deep.equal([11, 16]);
      expect([counts.at(-1), Math.min(...counts.slice(counts.indexOf(16)))]).to.deep.equal([6, 6]);
    });

    for (const { helm, by, maxReplicas } of [
      { helm: "Helm 3", by: () => release, maxReplicas: 20 },
      { helm: "Helm 4", by: () => successor, maxReplicas: 30 },
    ])
      it(`keeps count, pods and bots when ${helm} sets the bound to ${maxReplicas}`, () =>
        expectSteady(release, ids, () => by().install({ scaling: { maxReplicas } }, "upgrade")));

    it("leaves nothing when Helm 4 uninstalls what Helm 3 has installed", async () => {
      await successor.uninstall();
      await release.awaitGone();
      expect(await release.left()).to.deep.equal([]);
    });
  });
}
