import { expect } from "chai";

import { until } from "../../scripts/lib/command.ts";
import type { ClusterFleet } from "../../scripts/lib/cluster/fleet.ts";
import { namesInSegments, type Release } from "../../scripts/lib/cluster/product.ts";
import { scriptedValues } from "../../scripts/lib/cluster/values.ts";

const document = (_id: string) => ({ _id, image: "bot-runner/demo-bot:1" });

/** Pods that the cluster does not give: told in plain words, and the bots run meanwhile. */
export function refusals(fleet: () => ClusterFleet): void {
  describe("where the cluster refuses pods", () => {
    const ids = namesInSegments(4);
    let release: Release;

    /** What `runtime fleet` says beside this word, in any pod that answers. */
    const told = (word: string, says: RegExp) =>
      until(`${word} ${says.source} in "runtime fleet"`, 90_000, async () => {
        const [pod] = (await release.pods()).filter(({ isReady }) => isReady);
        const text = pod && (await release.kubectl("exec", pod.name, "-c", "runtime", "--", "runtime", "fleet"));
        return text?.split("\n").find((line) => line.startsWith(word) && says.test(line));
      });
    const nothingTold = () =>
      until("nothing refused", 90_000, async () => {
        const [pod] = (await release.pods()).filter(({ isReady }) => isReady);
        const text = pod && (await release.kubectl("exec", pod.name, "-c", "runtime", "--", "runtime", "fleet"));
        return (text !== undefined && !/^(Refused|Pending):/m.test(text)) || undefined;
      });

    before(async () => {
      const values = scriptedValues();
      release = fleet().release({
        namespace: "refusals",
        helm: "helm4",
        values: { ...values, bots: { backlogPatienceSeconds: 5 }, scaling: { ...values.scaling, minReplicas: 2 } },
      });
      await release.install();
      await release.awaitPods(2);
    });
    after(async () => {
      await release.uninstall();
      await release.awaitGone();
      await release.close();
    });

    it("says that a quota is full, and shares the segments among the pods that there are", async () => {
      await release.apply({ apiVersion: "v1", kind: "ResourceQuota", metadata: { name: "few" }, spec: { hard: { pods: "2" } } });
      await release.bots.insertMany(ids.slice(0, 3).map(document));
      await told("Refused:", /exceeded quota: few/);
      await release.awaitRunning(ids.slice(0, 3));
      expect((await release.pods()).length).to.equal(2);
    });

    it("takes what it asked for once there is room, and says nothing more", async () => {
      await release.kubectl("delete", "resourcequota", "few");
      await release.awaitPods(4, 240_000);
      await nothingTold();
    });

    it("says that Pod Security keeps its pods out, and shares", async () => {
      const namespace = release.options.namespace;
      await release.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=baseline");
      await release.bots.insertMany(ids.slice(3).map(document));
      await told("Refused:", /violates PodSecurity "baseline/);
      await release.awaitRunning(ids);
      expect((await release.pods()).length).to.equal(4);
      await release.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce-");
      await release.awaitPods(5, 240_000);
    });

    it("says that no node has room, and shares", async () => {
      await release.bots.deleteMany({ _id: { $in: ids.slice(2) } });
      await release.awaitPods(3, 240_000);
      for (const node of fleet().cluster.nodes) await release.kubectl("cordon", node);
      await release.bots.insertOne(document(ids[2] ?? ""));
      await told("Pending:", /1 pod\(s\): .*unschedulable/i);
      await release.awaitRunning(ids.slice(0, 3));
      for (const node of fleet().cluster.nodes) await release.kubectl("uncordon", node);
      await release.awaitPods(4, 240_000);
      await nothingTold();
    });
  });
}
