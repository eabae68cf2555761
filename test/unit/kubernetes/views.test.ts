import { expect } from "chai";
import { readDeployment } from "../../../src/kubernetes/deployment.ts";
import type { ManagedFields, Meta } from "../../../src/kubernetes/objects.ts";
import { rankPods, readPod } from "../../../src/kubernetes/pods.ts";
import { readElection } from "../../../src/kubernetes/election-lease.ts";
import { readLease } from "../../../src/kubernetes/worker-lease.ts";

const done = { terminated: { reason: "Completed" } };
const unknown = { terminated: { reason: "ContainerStatusUnknown" } };
const spec = { containers: [{ name: "runtime", image: "runtime:1" }], initContainers: [{ name: "docker", restartPolicy: "Always" }] };
const both = (main: object, sidecar: object) => ({ containerStatuses: [{ state: main }], initContainerStatuses: [{ state: sidecar }] });
const is = (type: string, status: string, more: object = {}) => ({ type, status, ...more });
const ownedBy = (name: string) => [{ apiVersion: "apps/v1", kind: "ReplicaSet", name, uid: "u" }];
const pod = (status: object, metadata: Meta = {}, specs: object = spec) =>
  readPod({ metadata: { name: "p", uid: "1", ownerReferences: ownedBy("runtime-1"), ...metadata }, spec: specs, status }, "runtime");

describe("kubernetes: pods", () => {
  for (const { why, status, specs, gives } of [
    { why: "failed, all terminated", status: { phase: "Failed", ...both(done, done) }, gives: true },
    { why: "succeeded, all terminated", status: { phase: "Succeeded", ...both(done, done) }, gives: true },
    { why: "running in place, all terminated", status: { phase: "Running", ...both(done, done) }, gives: false },
    { why: "failed, nobody knows of the container", status: { phase: "Failed", ...both(unknown, done) }, gives: false },
    { why: "failed, nobody knows of the sidecar", status: { phase: "Failed", ...both(done, unknown) }, gives: false },
    { why: "failed, the sidecar runs", status: { phase: "Failed", ...both(done, { running: {} }) }, gives: false },
    { why: "failed, terminated without a reason", status: { phase: "Failed", ...both({ terminated: {} }, done) }, gives: false },
    { why: "failed, nothing told of the sidecar", status: { phase: "Failed", containerStatuses: [{ state: done }] }, gives: false },
    { why: "failed before it was told of at all", status: { phase: "Failed" }, gives: false },
    {
      why: "failed, a debug container not told of",
      status: { phase: "Failed", ...both(done, done) },
      specs: { ...spec, ephemeralContainers: [{}] },
      gives: false,
    },
  ]) {
    it(`${gives ? "proves" : "does not prove"} a pod dead: ${why}`, () => expect(pod(status, {}, specs)?.isProvenDead).to.equal(gives));
  }

  const silent = [is("Ready", "False"), is("ContainersReady", "True")];
  for (const { why, status, metadata, specs, gives } of [
    { why: "ready", status: { phase: "Running", conditions: [is("Ready", "True"), is("ContainersReady", "True")] }, gives: false },
    {
      why: "not ready by its own probe",
      status: { phase: "Running", conditions: [is("Ready", "False"), is("ContainersReady", "False")] },
      gives: false,
    },
    { why: "marked by the control plane", status: { phase: "Running", conditions: silent }, gives: true },
    {
      why: "not ready by a gate",
      status: { phase: "Running", conditions: silent },
      specs: { ...spec, readinessGates: [{}] },
      gives: false,
    },
    { why: "unknown", status: { phase: "Running", conditions: [is("Ready", "Unknown")] }, gives: true },
    { why: "its node is lost", status: { phase: "Running", reason: "NodeLost" }, gives: true },
    {
      why: "being deleted, so not counted any more",
      status: { phase: "Running", conditions: silent },
      metadata: { deletionTimestamp: "t" },
      gives: false,
    },
    { why: "ended", status: { phase: "Failed", conditions: silent }, gives: false },
  ]) {
    it(`calls a pod ${gives ? "lost" : "not lost"}: ${why}`, () => expect(pod(status, metadata, specs)?.isLost).to.equal(gives));
  }

  it("tells why a pod is not placed, in the scheduler's words", () => {
    const conditions = [is("PodScheduled", "False", { reason: "Unschedulable", message: "0/2 nodes are available" })];
    expect(pod({ phase: "Pending", conditions })?.pending).to.equal("0/2 nodes are available");
    expect(pod({ phase: "Pending", conditions: [is("PodScheduled", "True")] })?.pending).to.equal(undefined);
  });

  it("leaves out who is not of our ReplicaSets", () => {
    expect(pod({}, { ownerReferences: [] })).to.equal(undefined);
    expect(pod({}, { ownerReferences: ownedBy("runtime-other-1") })).to.equal(undefined);
  });

  const made = (name: string, set: string, created: string, image: string, labels = {}) =>
    readPod(
      {
        metadata: { name, uid: name, creationTimestamp: created, ownerReferences: ownedBy(set), labels: { app: "runtime", ...labels } },
        spec: { containers: [{ name: "runtime", image }] },
      },
      "runtime",
    ) ?? expect.fail("no pod of ours");
  const templateOf = (image: string, labels = {}) =>
    readDeployment({
      metadata: {},
      spec: { template: { metadata: { labels: { app: "runtime", ...labels } }, spec: { containers: [{ name: "runtime", image }] } } },
    }).template;
  const one = made("a", "runtime-1", "2026-01-01T00:00:00Z", "i:1");
  const two = made("b", "runtime-2", "2026-01-02T00:00:00Z", "i:2", { v: "2" });
  for (const { why, template, pods, gives } of [
    { why: "the younger where nobody knows the template", template: undefined, pods: [two, one], gives: { b: 1, a: 0 } },
    { why: "the one of the template", template: templateOf("i:2"), pods: [one, two], gives: { a: 0, b: 1 } },
    { why: "the older one after a rollback", template: templateOf("i:1"), pods: [one, two], gives: { a: 1, b: 0 } },
    {
      why: "the young one where only a label differs",
      template: templateOf("i:1", { v: "2" }),
      pods: [one, made("c", "runtime-3", "2025-01-01T00:00:00Z", "i:1", { v: "2" })],
      gives: { a: 0, c: 1 },
    },
    {
      why: "the younger set, though the older one has made a pod since",
      template: undefined,
      pods: [one, two, made("d", "runtime-1", "2026-01-03T00:00:00Z", "i:1")],
      gives: { a: 0, b: 1, d: 0 },
    },
  ]) {
    it(`ranks as newest ${why}`, () =>
      expect(Object.fromEntries(rankPods(pods, template).map(({ name, generation }) => [name, generation]))).to.deep.equal(gives));
  }
});

describe("kubernetes: Deployment", () => {
  const owns = (manager: string, fields: readonly string[], more: Partial<ManagedFields> = {}): ManagedFields => ({
    manager,
    operation: "Update",
    fieldsV1: { "f:spec": Object.fromEntries(fields.map((field) => [field, {}])) },
    ...more,
  });
  for (const { why, managed, gives } of [
    { why: "nobody", managed: [], gives: undefined },
    { why: "ours", managed: [owns("botrunner", ["f:replicas"], { subresource: "scale" })], gives: undefined },
    {
      why: "an autoscaler",
      managed: [owns("kube-controller-manager", ["f:replicas"], { subresource: "scale" })],
      gives: "kube-controller-manager",
    },
    { why: "who made it, by default", managed: [owns("helm", ["f:replicas", "f:selector"])], gives: undefined },
    { why: "who applies a number", managed: [owns("argocd", ["f:replicas", "f:selector"], { operation: "Apply" })], gives: "argocd" },
    { why: "who edited it", managed: [owns("kubectl-edit", ["f:replicas"])], gives: "kubectl-edit" },
    { why: "who owns other fields", managed: [owns("kubectl", ["f:paused"])], gives: undefined },
  ]) {
    it(`tells who else scales: ${why}`, () =>
      expect(readDeployment({ metadata: { managedFields: managed } }).view.foreignScaler).to.equal(gives));
  }

  for (const { why, status, gives } of [
    { why: "all are of the newest template", status: { observedGeneration: 2, replicas: 3, updatedReplicas: 3 }, gives: false },
    { why: "some are not", status: { observedGeneration: 2, replicas: 4, updatedReplicas: 1 }, gives: true },
    { why: "the template was not looked at yet", status: { observedGeneration: 1, replicas: 3, updatedReplicas: 3 }, gives: true },
  ]) {
    it(`tells a rollout: ${why}`, () => expect(readDeployment({ metadata: { generation: 2 }, status }).view.isRollingOut).to.equal(gives));
  }

  it("tells what the cluster refuses", () => {
    const conditions = [is("Available", "True"), is("ReplicaFailure", "True", { reason: "FailedCreate", message: "exceeded quota" })];
    expect(readDeployment({ status: { conditions } }).view.failure).to.equal("exceeded quota");
  });
});

describe("kubernetes: Leases", () => {
  it("reads nothing from one that has no session, and the least from a damaged one", () => {
    expect(readLease({ metadata: { resourceVersion: "1" } })).to.equal(undefined);
    expect(
      readLease({ metadata: { resourceVersion: "1", annotations: { "botrunner.io/sid": "s", "botrunner.io/inc": "x" } } }),
    ).to.deep.equal({
      lease: { sid: "s", inc: 0, incarnation: "", revoked: false },
      version: "1",
    });
  });

  for (const { why, lease, gives } of [
    { why: "metadata only", lease: {}, gives: { holder: null, leaseMs: 0, changes: 0 } },
    {
      why: "given up, as client-go does",
      lease: { spec: { holderIdentity: "", leaseDurationSeconds: 1 } },
      gives: { holder: null, leaseMs: 1_000, changes: 0 },
    },
    {
      why: "held",
      lease: { spec: { holderIdentity: "x", leaseDurationSeconds: 15, leaseTransitions: 4 } },
      gives: { holder: "x", leaseMs: 15_000, changes: 4 },
    },
  ]) {
    it(`reads who leads: ${why}`, () =>
      expect(readElection({ metadata: { resourceVersion: "1" }, ...lease })?.record).to.deep.equal(gives));
  }
});
