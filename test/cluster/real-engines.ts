import { expect } from "chai";

import { until } from "../../scripts/lib/command.ts";
import type { Pod } from "../../scripts/lib/cluster/pods.ts";
import { namesInSegments, type Release } from "../../scripts/lib/cluster/product.ts";
import type { ClusterFleet } from "../../scripts/lib/cluster/fleet.ts";
import { chartValues } from "../../scripts/lib/cluster/values.ts";
import { doctor } from "./doctor.ts";
import { guideCommands } from "./guide-commands.ts";

const MAX = { scaling: { maxReplicas: 4 } };
const HIGHER = { scaling: { maxReplicas: 6 } };
const account = "system:serviceaccount:runtime:runtime";

/** One release with a Docker Engine in each pod, from its installation to its end. Each test goes on from the one before. */
export function realEngines(fleet: () => ClusterFleet): void {
  describe("with a Docker Engine in each pod", () => {
    const all = namesInSegments(6);
    const [first, second, third] = [all.slice(0, 2), all.slice(0, 5), all.slice(0, 3)];
    let release: Release;
    let pods: Pod[];
    let containers: Map<string, string>;

    const insert = (ids: readonly string[]) => release.bots.insertMany(ids.map((id) => fleet().document(id)));
    const workers = async () => [...(await release.states()).values()].map(({ worker }) => worker);
    /** Bots of each worker, the most first. */
    const shares = async () =>
      Object.values(Object.groupBy(await workers(), (name) => name))
        .map((bots = []) => bots.length)
        .sort((a, b) => a - b)
        .toReversed();
    /** Runs the same containers as before, and none that the beacons know of beside them. */
    const expectUntouched = async (ids: readonly string[]) => {
      expect(await release.awaitRunning(ids)).to.deep.equal(containers);
      const latest = [...(await fleet().newest(ids)).values()];
      expect(latest.filter(({ ended }) => ended)).to.deep.equal([]);
    };
    const inRuntime = (pod: string, script: string) => release.kubectl("exec", pod, "-c", "runtime", "--", "sh", "-c", script);
    /** Sends a signal to the runtime's own process, not to the init above it. */
    const signal = (pod: string, name: string) =>
      inRuntime(pod, `for p in /proc/[0-9]*; do [ $p = /proc/1 ] || ! grep -q "[m]ain.js" $p/cmdline || kill -${name} \${p#/proc/}; done`);
    const replaced = (old: Pod) =>
      until("another leader", 120_000, async () => {
        const leader = await release.leader();
        return leader.uid === old.uid ? undefined : leader;
      });

    before(async () => {
      release = fleet().release({ namespace: "runtime", values: chartValues() });
      await insert(first);
      await release.install(MAX);
    });
    after(() => release.close());

    it("comes up with three pods and starts each bot once, none of them on the leader", async () => {
      pods = await release.awaitPods(3);
      await release.awaitRunning(first);
      await fleet().heard(first);
      expect((await fleet().lives(first)).map(({ bot }) => bot).sort()).to.deep.equal(first.toSorted());
      expect(await workers()).to.not.include((await release.leader()).name);
    });

    it("adds pods up to the maximum, and shares evenly what is over", async () => {
      await insert(second.slice(2));
      pods = await release.awaitPods(4);
      containers = await release.awaitRunning(second);
      expect(await shares()).to.deep.equal([2, 2, 1]);
      expect(pods.map(({ restarts }) => restarts)).to.deep.equal([0, 0, 0, 0]);
    });

    it("takes a higher bound from an upgrade within 2 s, and replaces and restarts nothing", async () => {
      await release.install(HIGHER, "upgrade");
      const grown = await until("the scaling", 20_000, async () => (await release.scalings()).find(({ replicas }) => replicas === 6));
      const changed = (await release.audit()).findLast(
        ({ resource, verb, user }) => resource === "configmaps" && ["patch", "update"].includes(verb) && user === "cluster-admin",
      );
      expect(grown.at - (changed?.at ?? 0)).to.be.below(2_000);
      const now = await release.awaitPods(6);
      expect(now.filter(({ uid }) => pods.some((pod) => pod.uid === uid))).to.deep.equal(pods);
      await until("a worker for each segment", 120_000, async () => ((await shares()).join() === "1,1,1,1,1" ? true : undefined));
      await release.awaitRunning(second);
      pods = now;
    });

    it("tells every scaling in every pod's log as the API server has it, and of nothing wrong", async () => {
      const counts = [1, ...(await release.scalings()).map(({ replicas }) => replicas)];
      expect(counts).to.deep.equal([1, 3, 4, 6]);
      for (const { name } of pods) {
        const log = await release.kubectl("logs", name, "-c", "runtime");
        const told = [...log.matchAll(/Scaling from (\d+) to (\d+) replicas/g)].map(([, from, to]) => `${from} ${to}`);
        const written = counts.slice(1).map((to, i) => `${counts[i]} ${to}`);
        expect(told, name).to.deep.equal(written.slice(-told.length));
        expect(log.match(/.*error.*/gi) ?? [], name).to.deep.equal([]);
      }
    });

    guideCommands(() => release.env);
    doctor(() => release);

    it("shrinks after the cooldown by the pods that are idle: no bot restarts", async () => {
      containers = new Map([...(await release.awaitRunning(second))].filter(([id]) => third.includes(id)));
      await release.bots.deleteMany({ _id: { $in: second.slice(3) } });
      pods = await release.awaitPods(4);
      await expectUntouched(third);
    });

    it("elects another leader when the leader's pod is deleted: no bot restarts", async () => {
      const old = await release.leader();
      await release.kubectl("delete", "pod", old.name, "--wait=false");
      await replaced(old);
      pods = await release.awaitPods(4);
      await expectUntouched(third);
    });

    it("bears a leader process that is killed: no bot restarts", async () => {
      const old = await release.leader();
      await signal(old.name, "KILL");
      await until("its restart", 60_000, async () => (await release.pods()).find(({ uid, restarts }) => uid === old.uid && restarts > 0));
      pods = await release.awaitPods(4);
      await expectUntouched(third);
    });

    it("is led by a pod without bots again, once one has lived for long enough", async () => {
      await until("an idle leader", 120_000, async () => !(await workers()).includes((await release.leader()).name) || undefined);
      await expectUntouched(third);
    });

    it("scales on while the old leader's process stands still: no bot restarts", async () => {
      const old = await release.leader();
      await signal(old.name, "STOP");
      await replaced(old);
      await insert(all.slice(5));
      await until("the next scaling", 60_000, async () => (await release.scalings()).at(-1)?.replicas === 5 || undefined);
      await signal(old.name, "CONT");
      const running = await release.awaitRunning([...third, ...all.slice(5)]);
      expect(new Map(third.map((id) => [id, running.get(id)]))).to.deep.equal(containers);
      await release.awaitPods(5);
    });

    it("has the rights that it uses and no others", async () => {
      const can = (...words: string[]) =>
        release.kubectl("auth", "can-i", ...words, `--as=${account}`).then(
          (text) => text.trim(),
          () => "no",
        );
      for (const [verb, what, ...more] of [
        ["get", "deployments/runtime"],
        ["update", "deployments/runtime", "--subresource=scale"],
        ["create", "leases"],
        ["watch", "pods"],
        ["patch", "pods"],
        ["create", "events"],
        ["watch", "configmaps/runtime-scaling"],
      ] as const)
        expect(await can(verb, what, ...more), `${verb} ${what}`).to.equal("yes");
      for (const [verb, what, ...more] of [
        ["update", "deployments"],
        ["update", "deployments/runtime"],
        ["update", "deployments/other", "--subresource=scale"],
        ["create", "pods"],
        ["create", "pods", "--subresource=exec"],
        ["get", "secrets"],
        ["get", "configmaps"],
        ["list", "nodes"],
        ["get", "leases", "-n", "default"],
      ] as const)
        expect(await can(verb, what, ...more), `${verb} ${what}`).to.equal("no");
      const refused = (await release.audit()).filter(({ user, status }) => user === account && (status === 401 || status === 403));
      expect(refused).to.deep.equal([]);
    });

    it("leaves nothing when it is uninstalled: the bots are told to end", async () => {
      await release.uninstall();
      await release.awaitGone();
      expect(await release.left()).to.deep.equal([]);
      const latest = await fleet().newest(third);
      expect(third.map((id) => latest.get(id)?.ended)).to.deep.equal([true, true, true]);
    });

    it("goes on from what an earlier installation left in the database", async () => {
      await release.install(HIGHER);
      await release.awaitPods(5);
      await release.awaitRunning([...third, ...all.slice(5)]);
      await release.uninstall();
      await release.awaitGone();
    });
  });
}
