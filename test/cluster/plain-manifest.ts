import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { expect } from "chai";

import { RUNTIME_IMAGE } from "../../scripts/lib/cluster/images.ts";
import type { ClusterFleet } from "../../scripts/lib/cluster/fleet.ts";
import { namesInSegments, type Release } from "../../scripts/lib/cluster/product.ts";
import { run } from "../../scripts/lib/command.ts";
import { editedManifest } from "../support/plain-manifest.ts";

/** deploy/runtime.yaml in the guide's way: three edits, apply, and in the end delete. */
export function plainManifest(fleet: () => ClusterFleet): void {
  describe("by its plain manifest", () => {
    // None of those whose lives the other tests have watched.
    const ids = namesInSegments(2, namesInSegments(6));
    let release: Release;
    let file: string;
    const kubectl = (...words: string[]) => run("kubectl", words, { env: release.env, timeoutMs: 180_000 });

    before(async () => {
      release = fleet().release({ namespace: "runtime", database: "plain", values: {} });
      const edits = { image: RUNTIME_IMAGE, mongoUri: fleet().mongo.uri, database: "plain", collection: "bots", maxSegment: 64 };
      file = join(fleet().cluster.runDir, "runtime.yaml");
      await writeFile(file, editedManifest({ ...edits, timings: "ci" }));
      await release.bots.insertMany(ids.map((id) => fleet().document(id)));
    });
    after(() => release.close());

    it("runs each bot once", async () => {
      await kubectl("apply", "-f", file);
      await release.awaitPods(3);
      await release.awaitRunning(ids);
      await fleet().heard(ids);
    });

    it("keeps its pods when it is applied again", async () => {
      const [pods, containers] = [await release.awaitPods(3), await release.awaitRunning(ids)];
      await kubectl("apply", "-f", file);
      await kubectl("rollout", "status", "deployment/runtime", "-n", "runtime", "--timeout=60s");
      expect((await release.awaitPods(3)).map(({ uid }) => uid)).to.have.members(pods.map(({ uid }) => uid));
      expect(await release.awaitRunning(ids)).to.deep.equal(containers);
    });

    it("leaves nothing when it is deleted, its namespace included", async () => {
      await kubectl("delete", "-f", file, "--timeout=150s");
      expect(await kubectl("get", "namespace", "runtime", "--ignore-not-found", "-o", "name")).to.equal("");
      const named = await kubectl("get", "clusterroles,clusterrolebindings", "-o", "name");
      expect(named.split("\n").filter((name) => name.endsWith("/runtime"))).to.deep.equal([]);
      expect((await fleet().lives(ids)).filter(({ ended }) => !ended)).to.deep.equal([]);
    });
  });
}
