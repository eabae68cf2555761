import { expect } from "chai";

import { until } from "../../scripts/lib/command.ts";
import type { ClusterFleet } from "../../scripts/lib/cluster/fleet.ts";
import type { Pod } from "../../scripts/lib/cluster/pods.ts";
import { namesInSegments, type Release } from "../../scripts/lib/cluster/product.ts";
import { chartValues } from "../../scripts/lib/cluster/values.ts";
import { boundsOf } from "../../scripts/faults/bounds.ts";
import { findUnrun } from "../../scripts/faults/analysis.ts";
import { bootTimeMs } from "../../scripts/faults/stage.ts";
import type { Run } from "../../scripts/faults/runs.ts";

/** With the leader's pod and that of the surge five Engines, of the six that two cores carry beside a cluster. */
const BUSY = 3;
/** The chart's maxSurge: a quarter of the pods, rounded up. */
const SURGE = Math.ceil((BUSY + 1) / 4);
const SHAPE = { scaling: { minReplicas: BUSY + 1, maxReplicas: BUSY + 1 } };
const STOP_MS = 1_000;
const bounds = boundsOf("ci");

/** Upgrades of a release whose workers are all busy: good ones move each bot once, bad ones move nobody. */
export function rollouts(fleet: () => ClusterFleet): void {
  describe("with a new version to roll out", () => {
    // Names that no other release has.
    const bots = namesInSegments(BUSY, namesInSegments(6));
    let release: Release;
    let pods: Pod[];

    const expectUntouched = async (before: ReadonlyMap<string, Run>) => {
      const runs = ({ run }: Run) => run;
      const after = await fleet().newest(bots);
      expect(new Map([...after].map(([bot, life]) => [bot, runs(life)]))).to.deep.equal(
        new Map([...before].map(([bot, life]) => [bot, runs(life)])),
      );
      const now = bootTimeMs();
      expect([...after.values()].filter(({ last }) => now - last > 2_000)).to.deep.equal([]);
    };
    /** An upgrade that cannot come up: its pods stand beside the old ones until it is taken back. */
    const refuse = async (values: Readonly<Record<string, unknown>>, isFailing: (pod: Pod) => Promise<boolean>) => {
      const before = await fleet().newest(bots);
      await release.install({ ...SHAPE, ...values }, "upgrade");
      const fresh = await until("a pod that fails", 120_000, async () => {
        const found = (await release.pods()).find(({ uid }) => pods.every((pod) => pod.uid !== uid));
        return found !== undefined && (await isFailing(found)) ? found : undefined;
      });
      expect(fresh.isReady).to.equal(false);
      const now = await release.pods();
      for (const { uid, name } of pods) expect(now.find((pod) => pod.uid === uid)?.isTerminating, name).to.equal(false);
      expect(now.length).to.be.within(pods.length + 1, pods.length + SURGE);
      await expectUntouched(before);
      await release.rollback();
      await until("the end of the surge pods", 120_000, async () => (await release.pods()).length === pods.length || undefined);
      const after = await release.awaitPods(pods.length);
      expect(after.map(({ uid }) => uid).toSorted()).to.deep.equal(pods.map(({ uid }) => uid).toSorted());
      await expectUntouched(before);
    };

    before(async () => {
      release = fleet().release({ namespace: "rollouts", values: chartValues() });
      await release.bots.insertMany(bots.map((id) => fleet().document(id)));
      await release.install(SHAPE);
      pods = await release.awaitPods(BUSY + 1);
      await release.awaitRunning(bots);
      await fleet().heard(bots);
      await release.awaitSpread(bots, 120_000);
    });
    after(async () => {
      await release.uninstall();
      await release.awaitGone();
      await release.close();
    });

    it("moves each bot once, within the bound of a hand-over", async () => {
      const before = await fleet().newest(bots);
      const from = bootTimeMs();
      await release.install({ ...SHAPE, pod: { annotations: { version: "2" } } }, "upgrade");
      pods = await release.awaitReplaced(pods, 240_000);
      await release.awaitRunning(bots);
      const lives = (await fleet().lives(bots)).filter(({ last }) => last >= from);
      const moved = bots.map((bot) => lives.filter((life) => life.bot === bot && life.run !== before.get(bot)?.run).length);
      expect(moved).to.deep.equal(bots.map(() => 1));
      const gaps = findUnrun(lives, bots, { from, to: bootTimeMs() - 500 }).map((gap) => Math.round(gap.to - gap.from));
      console.log(`      stood still for ${gaps.toSorted((a, b) => a - b).join(", ")} ms`);
      expect(Math.max(...gaps)).to.be.at.most(bounds.handOverMs(STOP_MS, 1));
    });

    it("stops at the first pods of an upgrade that reaches no MongoDB: no bot stops, and a rollback ends it", async () => {
      const uri = "mongodb://127.0.0.1:1/";
      await refuse({ mongodb: { uri } }, async ({ name }) => {
        const log = await release.kubectl("logs", name, "-c", "runtime").catch(() => "");
        return log.includes("MongoDB");
      });
    });

    it("stops at the first pods of an upgrade whose Engine does not start: no bot stops, and a rollback ends it", async () => {
      await refuse({ dind: { image: { repository: "bot-runner/no-engine", tag: "none", pullPolicy: "Never" } } }, async ({ name }) => {
        const states = await release.kubectl("get", "pod", name, "-o", "jsonpath={.status.initContainerStatuses[*].state}");
        return states.includes("ErrImageNeverPull");
      });
    });
  });
}
