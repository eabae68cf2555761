import { expect } from "chai";

import type { ClusterFleet } from "../../scripts/lib/cluster/fleet.ts";
import { RUNTIME_IMAGE } from "../../scripts/lib/cluster/images.ts";
import { namesInSegments, type Pod, type Release } from "../../scripts/lib/cluster/product.ts";
import { scriptedValues } from "../../scripts/lib/cluster/values.ts";
import { until } from "../../scripts/lib/command.ts";
import { applyCrds } from "./crds.ts";
import { scraped } from "./scraped.ts";

/** To the cluster another image, though it has the same content: its name is written out. */
const LONG_NAME = { image: { registry: "docker.io/library" } };
const KEDA = { scaling: { mode: "keda", keda: { serverAddress: "http://prometheus.monitoring:9090" } } };
const document = (_id: string) => ({ _id, image: "bot-runner/demo-bot:1" });
const uids = (pods: readonly Pod[]) => pods.map(({ uid }) => uid).toSorted();

/** One release through all that Helm does to it, with each Helm: nothing but a scaling may move the count, and no pod is replaced
 *  but for a new image. Source of the cases: field-notes/chart.md section 4. */
export function upgrades(fleet: () => ClusterFleet): void {
  for (const { helm, bots, isWhole } of [
    { helm: "helm4", bots: 6, isWhole: true },
    { helm: "helm3", bots: 3, isWhole: false },
  ] as const)
    describe(`installed by ${helm}, with Engines that are all words`, () => {
      const ids = namesInSegments(bots);
      const count = bots + 1;
      const namespace = `upgrades-${helm}`;
      let release: Release;
      let successor: Release;
      let pods: Pod[];
      let containers: Map<string, string>;

      const deployment = (path: string) => release.kubectl("get", "deployment", "runtime", "-o", `jsonpath={${path}}`);
      const expectUntouched = async () => {
        expect(await deployment(".spec.replicas")).to.equal(String(count));
        expect(uids(await release.awaitPods(count))).to.deep.equal(uids(pods));
        expect(await release.awaitRunning(ids)).to.deep.equal(containers);
      };

      before(async () => {
        const values = { ...scriptedValues(), ...(isWhole && { monitoring: { serviceMonitor: { enabled: true } } }) };
        release = fleet().release({ namespace, helm, values });
        successor = fleet().release({ namespace, helm: "helm4", values });
        if (isWhole) await applyCrds((...words) => release.kubectl(...words));
        await release.install();
        await release.awaitPods(3);
      });
      after(async () => {
        await release.close();
        await successor.close();
      });

      it(`scales itself to ${count}, beside what Helm knows`, async () => {
        await release.bots.insertMany(ids.map(document));
        pods = await release.awaitPods(count);
        containers = await release.awaitRunning(ids);
      });

      for (const { by, maxReplicas } of [
        { by: helm, maxReplicas: 20 },
        // Whoever installed with Helm 3 goes on with Helm 4 one day.
        { by: "helm4", maxReplicas: 30 },
      ])
        it(`keeps count, pods and bots when ${by} sets the bound to ${maxReplicas}`, async () => {
          const generation = await deployment(".metadata.generation");
          await (by === helm ? release : successor).install({ scaling: { maxReplicas } }, "upgrade");
          await expectUntouched();
          expect(await deployment(".metadata.generation")).to.equal(generation);
        });

      if (isWhole) {
        scraped(fleet, () => ({ release, pods }));

        it("is handed to KEDA and taken back: count, pods and bots stay, and then it scales again", async () => {
          const scaledObjects = () => release.kubectl("get", "scaledobjects", "-o", "name");
          await release.install(KEDA, "upgrade");
          expect((await scaledObjects()).trim()).to.equal("scaledobject.keda.sh/runtime");
          await expectUntouched();
          await release.install({}, "upgrade");
          expect((await scaledObjects()).trim()).to.equal("");
          await expectUntouched();
          const [another = ""] = namesInSegments(1, ids);
          await release.bots.insertOne(document(another));
          await release.awaitPods(count + 1);
          await release.bots.deleteOne({ _id: another });
          pods = await release.awaitPods(count);
          await expectUntouched();
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
            await act();
            expect(await deployment(".spec.template.spec.containers[0].image")).to.equal(image);
            await until("pods of that image alone", 180_000, async () => {
              const now = await release.pods();
              const isNew = now.every(({ uid, isReady, isTerminating }) => isReady && !isTerminating && !uids(pods).includes(uid));
              return (isNew && now.length === count) || undefined;
            });
            pods = await release.awaitPods(count);
            containers = await release.awaitRunning(ids);
            expect((await release.scalings()).slice(written)).to.deep.equal([]);
            await expectUntouched();
          });
      }

      it("leaves nothing when it is uninstalled", async () => {
        await successor.uninstall();
        await release.awaitGone();
        expect(await release.left()).to.deep.equal([]);
      });
    });
}
