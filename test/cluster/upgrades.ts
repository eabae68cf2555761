import { expect } from "chai";

import type { ClusterFleet } from "../../scripts/lib/cluster/fleet.ts";
import { RUNTIME_IMAGE } from "../../scripts/lib/cluster/images.ts";
import type { Pod } from "../../scripts/lib/cluster/pods.ts";
import { namesInSegments, type Release } from "../../scripts/lib/cluster/product.ts";
import { scriptedValues } from "../../scripts/lib/cluster/values.ts";
import { until } from "../../scripts/lib/command.ts";
import { applyCrds } from "./crds.ts";
import { scraped } from "./scraped.ts";
import { expectSteady } from "./steady.ts";

/** To the cluster another image, though it has the same content: its name is written out. */
const LONG_NAME = { image: { registry: "docker.io/library" } };
const KEDA = { scaling: { mode: "keda", keda: { serverAddress: "http://prometheus.monitoring:9090" } } };
const document = (_id: string) => ({ _id, image: "bot-runner/demo-bot:1" });
const BOTS = 4;
const COUNT = BOTS + 1;

/** One release through all that Helm does to it: nothing but a scaling may move the count, and no pod is replaced but for a new
 *  image. What Helm 3 does is tried beside another release. Source of the cases: field-notes/chart.md section 4. */
export function upgrades(fleet: () => ClusterFleet): void {
  describe("through upgrades, with Engines that are all words", () => {
    const ids = namesInSegments(BOTS);
    let release: Release;
    let pods: Pod[];

    before(async () => {
      const values = { ...scriptedValues(), monitoring: { serviceMonitor: { enabled: true } } };
      release = fleet().release({ namespace: "upgrades", helm: "helm4", values });
      await applyCrds((...words) => release.kubectl(...words));
      await release.install();
      await release.awaitPods(3);
    });
    after(() => release.close());

    it(`scales itself to ${COUNT}, beside what Helm knows`, async () => {
      await release.bots.insertMany(ids.map(document));
      pods = await release.awaitPods(COUNT);
      await release.awaitRunning(ids);
    });

    it("keeps count, pods and bots when the bound is raised", () =>
      expectSteady(release, ids, () => release.install({ scaling: { maxReplicas: 20 } }, "upgrade")));

    scraped(fleet, () => ({ release, pods }));

    const scaledObjects = async () => (await release.kubectl("get", "scaledobjects", "-o", "name")).trim();
    for (const { what, values, found } of [
      { what: "handed to KEDA", values: KEDA, found: "scaledobject.keda.sh/runtime" },
      { what: "taken back", values: {}, found: "" },
    ])
      it(`keeps count, pods and bots when it is ${what}`, async () => {
        await expectSteady(release, ids, () => release.install(values, "upgrade"));
        expect(await scaledObjects()).to.equal(found);
      });

    it("scales again after that", async () => {
      const [another = ""] = namesInSegments(1, ids);
      await release.bots.insertOne(document(another));
      await release.awaitPods(COUNT + 1);
      await release.bots.deleteOne({ _id: another });
      pods = await release.awaitPods(COUNT);
      await release.awaitRunning(ids);
    });

    for (const { what, act, image } of [
      {
        what: "replaces each pod for a new image",
        act: () => release.install(LONG_NAME, "upgrade"),
        image: `docker.io/library/${RUNTIME_IMAGE}`,
      },
      { what: "goes back to the image before by a rollback", act: () => release.rollback(), image: RUNTIME_IMAGE },
    ])
      it(`${what}, keeps the count, and runs each bot`, async () => {
        const written = (await release.scalings()).length;
        const old = new Set(pods.map(({ uid }) => uid));
        await act();
        const told = await release.kubectl("get", "deployment", "runtime", "-o", "jsonpath={.spec.template.spec.containers[0].image}");
        expect(told).to.equal(image);
        pods = await until("pods of that image alone", 180_000, async () => {
          const now = await release.pods();
          const isNew = now.every(({ uid, isReady, isTerminating }) => isReady && !isTerminating && !old.has(uid));
          return isNew && now.length === COUNT ? now : undefined;
        });
        await release.awaitRunning(ids);
        expect((await release.scalings()).slice(written)).to.deep.equal([]);
      });

    it("leaves nothing when it is uninstalled", async () => {
      await release.uninstall();
      await release.awaitGone();
      expect(await release.left()).to.deep.equal([]);
    });
  });
}
