import { expect } from "chai";
import type { Leadership } from "../../src/core/election.ts";
import { ClusterRefusedError } from "../../src/core/errors.ts";
import { renewLease, revokeLease } from "../../src/core/lease.ts";
import { type ApiClient } from "../../src/kubernetes/client.ts";
import { KubernetesCluster } from "../../src/kubernetes/cluster.ts";
import { KubernetesElection } from "../../src/kubernetes/election.ts";
import { deploymentReference, pathOf, type RawObject } from "../../src/kubernetes/objects.ts";
import { KubernetesOwnLease } from "../../src/kubernetes/own-lease.ts";
import { LEASES } from "../../src/kubernetes/worker-lease.ts";
import { systemClock } from "../../src/process/clock.ts";
import { sid } from "../support/builders.ts";
import { eventually } from "../support/eventually.ts";
import { rejection } from "./engine.suite.ts";

/** A namespace of an API server in which a test may do anything. */
export type ApiSubject = { readonly client: ApiClient; readonly namespace: string };

const LIMIT_MS = 5_000;
const template = {
  metadata: { labels: { app: "runtime" } },
  spec: { containers: [{ name: "runtime", image: "runtime:1" }] },
};
const someone = sid("8f8f-1/2");
const owner = deploymentReference({ name: "runtime", uid: "u-0" });
const mine = { sid: someone, inc: 1, incarnation: "life" };

function aDeployment(): RawObject {
  const spec = { selector: { matchLabels: { app: "runtime" } }, template };
  return { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "runtime" }, spec: { replicas: 1, ...spec } };
}

function aPod(name: string, replicaSet = "runtime-1"): RawObject {
  const ownerReferences = [{ apiVersion: "apps/v1", kind: "ReplicaSet", name: replicaSet, uid: "u-1" }];
  return { apiVersion: "v1", kind: "Pod", metadata: { name, labels: { app: "runtime" }, ownerReferences }, spec: template.spec };
}

/** What is promised of the Kubernetes room by any API server. */
export function clusterContract(begin: () => Promise<ApiSubject>): void {
  let subject: ApiSubject;
  let end: AbortController;
  let running: Promise<void>[];
  let changes: string[];

  beforeEach(async () => {
    subject = await begin();
    end = new AbortController();
    running = [];
    changes = [];
  });
  afterEach(async () => {
    end.abort();
    await Promise.all(running);
  });

  const put = async (group: string, resource: string, body: RawObject): Promise<RawObject> => {
    const path = pathOf(group, subject.namespace, resource);
    return (await subject.client.call({ verb: "create", what: resource, path, body, limitMs: LIMIT_MS })).body as RawObject;
  };
  const get = async (group: string, resource: string, name: string): Promise<RawObject> => {
    const path = pathOf(group, subject.namespace, resource, name);
    return (await subject.client.call({ verb: "get", what: resource, path, limitMs: LIMIT_MS })).body as RawObject;
  };
  const ownLease = (): KubernetesOwnLease =>
    new KubernetesOwnLease({ ...subject, lock: "lock", owner, leaseMs: 10_000, callMs: LIMIT_MS, wall: () => new Date() }, "pod-a");
  const election = (self: string, uid = owner.uid, reachesStore = () => true): KubernetesElection =>
    new KubernetesElection({
      ...subject,
      clock: systemClock,
      random: Math.random,
      name: "lock",
      owner: { ...owner, uid },
      self: sid(self),
      reachesStore,
      callMs: LIMIT_MS,
    });
  const watched = (): KubernetesCluster => {
    const options = {
      deployment: owner,
      lock: "lock",
      configMap: "scaling",
      pod: "pod-a",
      endMs: 10_000,
      callMs: LIMIT_MS,
    };
    const cluster = new KubernetesCluster({ ...subject, clock: systemClock, random: Math.random, ...options });
    running.push(cluster.run((what) => changes.push(what), end.signal));
    return cluster;
  };
  const led = (by: string, changesOf = 1): Leadership => ({ holder: sid(by), leaseMs: 8_000, changes: changesOf });

  describe("a worker's own Lease", () => {
    it("is not there, is made once, and is replaced only from the version that was seen", async () => {
      const own = ownLease();
      expect(await own.get(someone)).to.equal(undefined);
      const first = await own.write(renewLease(mine, undefined));
      if (first.kind === "conflict") return expect.fail("a conflict where nothing was");
      expect(await own.get(someone)).to.deep.equal({ lease: { ...mine, revoked: false }, version: first.version });
      expect(await own.write(renewLease(mine, undefined))).to.deep.equal({ kind: "conflict" });
      const second = await own.write(renewLease(mine, first.version));
      if (second.kind === "conflict") return expect.fail("a conflict on the version that is there");
      expect(second.version).not.to.equal(first.version);
      expect(await own.write(renewLease(mine, first.version))).to.deep.equal({ kind: "conflict" });
      const raw = await get(LEASES, "leases", "lock-8f8f-1-2");
      expect(raw.metadata?.annotations).to.include({ "botrunner.io/sid": someone, "botrunner.io/revoked": "false" });
      expect(raw.metadata?.ownerReferences).to.deep.equal([{ apiVersion: "apps/v1", kind: "Deployment", name: "runtime", uid: "u-0" }]);
      expect(raw["spec"]).to.include({ holderIdentity: "pod-a", leaseDurationSeconds: 10 });
    });

    it("cannot be replaced once it is gone", async () => {
      const own = ownLease();
      const first = await own.write(renewLease(mine, undefined));
      await watched().deleteLease(someone);
      await watched().deleteLease(someone);
      expect(await own.write(renewLease(mine, first.kind === "written" ? first.version : ""))).to.deep.equal({ kind: "conflict" });
    });

    it("gets a new version by every write, one of the same mark too", async () => {
      const cluster = watched();
      const first = await cluster.writeLease(revokeLease(someone, undefined));
      const found = await ownLease().get(someone);
      const again = await cluster.writeLease(revokeLease(someone, found));
      expect(first.kind === "written" && again.kind === "written" && again.version !== first.version).to.equal(true);
      expect((await ownLease().get(someone))?.lease).to.deep.equal({ sid: someone, inc: 0, incarnation: "", revoked: true });
    });
  });

  describe("the lease of leadership", () => {
    it("is made when it is missing, owned by the Deployment, and only once", async () => {
      const { metadata } = await put("apps/v1", "deployments", aDeployment());
      const a = election("a", metadata?.uid);
      expect(await a.read()).to.equal(undefined);
      const written = await a.write(led("a"), undefined);
      expect(written).to.have.property("record").that.deep.equals(led("a"));
      expect(await election("b").write(led("b"), undefined)).to.equal("conflict");
      const lease = await get(LEASES, "leases", "lock");
      expect(lease.metadata?.ownerReferences?.[0]).to.include({ kind: "Deployment", uid: metadata?.uid });
      expect(lease["spec"]).to.include({ holderIdentity: "a", leaseDurationSeconds: 8, leaseTransitions: 1 });
    });

    it("is taken where it has metadata only, which stays", async () => {
      const labels = { "app.kubernetes.io/name": "runtime" };
      await put(LEASES, "leases", { apiVersion: LEASES, kind: "Lease", metadata: { name: "lock", labels, annotations: { note: "x" } } });
      const a = election("a");
      const found = await a.read();
      expect(found?.record.holder).to.equal(null);
      expect(await a.write(led("a"), found?.version)).not.to.equal("conflict");
      const lease = await get(LEASES, "leases", "lock");
      expect(lease.metadata?.labels).to.include(labels);
      expect(lease.metadata?.annotations).to.include({ note: "x" });
    });

    it("is renewed, lost to who wrote since, and given up", async () => {
      const [a, b] = [election("a"), election("b")];
      const first = await a.write(led("a"), undefined);
      if (first === "conflict") return expect.fail("a conflict where nothing was");
      const acquired = (await get(LEASES, "leases", "lock"))["spec"] as { acquireTime: string };
      const renewed = await a.write(led("a"), first.version);
      if (renewed === "conflict") return expect.fail("a conflict on our own version");
      expect((await get(LEASES, "leases", "lock"))["spec"]).to.include({ acquireTime: acquired.acquireTime });
      expect(await b.write(led("b", 2), first.version)).to.equal("conflict");
      expect(await b.write(led("b", 2), (await b.read())?.version)).not.to.equal("conflict");
      expect(await a.write(led("a"), renewed.version)).to.equal("conflict");
      const seen = await a.read();
      expect(seen?.record).to.deep.equal(led("b", 2));
      const last = await b.read();
      expect(await b.write({ ...led("b", 2), holder: null }, last?.version)).not.to.equal("conflict");
      expect((await a.read())?.record.holder).to.equal(null);
    });

    it("carries whether the leader reaches MongoDB, which all who watch it hear of", async () => {
      let reaches = true;
      const [a, b] = [election("a", owner.uid, () => reaches), election("b")];
      running.push(b.run(end.signal));
      const heard = (is: boolean, holder: string | null): Promise<unknown> =>
        eventually(`b hears ${is} of ${holder}`, async () => {
          const seen = await b.read();
          return seen?.reachesStore === is && seen.record.holder === holder;
        });
      const first = await a.write(led("a"), undefined);
      if (first === "conflict") return expect.fail("a conflict where nothing was");
      await heard(true, "a");
      reaches = false;
      const second = await a.write(led("a"), first.version);
      if (second === "conflict") return expect.fail("a conflict on our own version");
      await heard(false, "a");
      reaches = true;
      await a.write({ ...led("a"), holder: null }, second.version);
      await heard(false, null);
      const lease = await get(LEASES, "leases", "lock");
      expect(lease["spec"]).to.have.all.keys("acquireTime", "leaseDurationSeconds", "leaseTransitions", "renewTime");
    });

    it("is read from the watched copy, which follows", async () => {
      const [a, b] = [election("a"), election("b")];
      running.push(b.run(end.signal));
      const first = await a.write(led("a"), undefined);
      await eventually("b sees a", async () => (await b.read())?.record.holder === "a");
      const second = first === "conflict" ? first : await a.write({ ...led("a"), holder: null }, first.version);
      await eventually("b sees that nobody leads", async () => (await b.read())?.record.holder === null);
      expect(second === "conflict" ? second : second.version).to.equal((await b.read())?.version);
    });
  });

  describe("the watched copies", () => {
    it("follow the workers' Leases, and those of this fleet alone", async () => {
      const cluster = watched();
      expect(cluster.leases()).to.equal("unread");
      await eventually("the first list", async () => cluster.leases() !== "unread");
      const other = { ...subject, lock: "other", owner, leaseMs: 10_000, callMs: LIMIT_MS, wall: () => new Date() };
      await new KubernetesOwnLease(other, "pod-b").write(renewLease({ ...mine, sid: sid("other") }, undefined));
      const { kind: _, ...written } = (await ownLease().write(renewLease(mine, undefined))) as { kind: "written"; version: string };
      const leases = await eventually("the Lease", async () => {
        const now = cluster.leases();
        return typeof now !== "string" && now.size > 0 && now;
      });
      expect([...leases]).to.deep.equal([[someone, { lease: { ...mine, revoked: false }, ...written }]]);
      await cluster.deleteLease(someone);
      await eventually("its end", async () => (cluster.leases() as ReadonlyMap<string, unknown>).size === 0);
    });

    it("follow Deployment, pods and bounds", async () => {
      const cluster = watched();
      await put("apps/v1", "deployments", aDeployment());
      await put("v1", "pods", aPod("runtime-1-a"));
      await put("v1", "pods", { ...aPod("stranger"), metadata: { name: "stranger", labels: { app: "runtime" } } });
      await put("v1", "configmaps", { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "scaling" }, data: { MAX_REPLICAS: "9" } });
      await eventually("the bounds", async () => JSON.stringify(cluster.scaling()) === '{"MAX_REPLICAS":"9"}');
      expect(cluster.scalingVersion()).to.equal((await get("v1", "configmaps", "scaling")).metadata?.resourceVersion);
      await eventually("the Deployment", async () => cluster.deployment()?.replicas === 1);
      await eventually("the pod", async () => cluster.pods().length === 1);
      expect(cluster.pods()[0]).to.include({
        name: "runtime-1-a",
        generation: 0,
        isTerminating: false,
        isProvenDead: false,
        isLost: false,
      });
      expect(cluster.deployment()?.foreignScaler).to.equal(undefined);
      expect(changes).to.include.members(["deployment", "pods", "scaling", "leases"]);
    });
  });

  describe("writes", () => {
    it("scale from what was seen, and from nothing else", async () => {
      const cluster = watched();
      await put("apps/v1", "deployments", aDeployment());
      expect(await cluster.writeScale(2, 3)).to.equal("conflict");
      expect(await cluster.writeScale(1, 3)).to.equal("written");
      await eventually("the new number", async () => cluster.deployment()?.replicas === 3);
      expect(await cluster.writeScale(1, 4)).to.equal("conflict");
      expect(await cluster.writeScale(3, 2)).to.equal("written");
      expect((await get("apps/v1", "deployments", "runtime"))["spec"]).to.include({ replicas: 2 });
      expect(cluster.deployment()?.foreignScaler).to.equal(undefined);
    });

    it("patch a pod's metadata and take keys away; a pod that is gone is no fault", async () => {
      const cluster = watched();
      await put("v1", "pods", aPod("runtime-1-a"));
      await cluster.patchPod("runtime-1-a", { labels: { x: "1" }, annotations: { y: "2" } });
      await cluster.patchPod("runtime-1-a", { labels: { x: null } });
      const { metadata } = await get("v1", "pods", "runtime-1-a");
      expect(metadata?.labels).to.deep.equal({ app: "runtime" });
      expect(metadata?.annotations).to.include({ y: "2" });
      await cluster.patchPod("nobody", { labels: { x: "1" } });
    });

    it("delete the pod of that uid and no other", async () => {
      const cluster = watched();
      const { metadata } = await put("v1", "pods", aPod("runtime-1-a"));
      await cluster.deletePod("runtime-1-a", "another");
      expect((await get("v1", "pods", "runtime-1-a")).metadata?.uid).to.equal(metadata?.uid);
      await cluster.deletePod("runtime-1-a", metadata?.uid ?? "");
      expect(await rejection(get("v1", "pods", "runtime-1-a"))).to.be.instanceOf(ClusterRefusedError);
      await cluster.deletePod("runtime-1-a", metadata?.uid ?? "");
    });

    it("tell an Event once and count what is told again", async () => {
      const cluster = watched();
      for (const note of ["1 to 3", "1 to 3", "3 to 2"]) await cluster.tell("Normal", "Scaled", note);
      const path = pathOf("v1", subject.namespace, "events");
      const { items } = (await subject.client.call({ verb: "list", what: "events", path, limitMs: LIMIT_MS })).body as {
        items: { count: number; message: string; involvedObject: { uid: string } }[];
      };
      const ours = items.filter(({ involvedObject: { uid } }) => uid === owner.uid);
      expect(ours.map(({ message, count }) => `${count} ${message}`).sort()).to.deep.equal(["1 3 to 2", "2 1 to 3"]);
    });
  });
}
