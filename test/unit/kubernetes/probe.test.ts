import { expect } from "chai";
import { ConfigurationError } from "../../../src/core/errors.ts";
import type { ClusterProbe } from "../../../src/doctor/ports.ts";
import { openClusterProbe } from "../../../src/kubernetes/probe.ts";
import { rejection } from "../../contract/engine.suite.ts";
import { FakeApi } from "../../support/fake-api.ts";

describe("kubernetes: openClusterProbe()", () => {
  let api: FakeApi;
  let probe: ClusterProbe & { close(): void };
  const open = (configMap: string | undefined) =>
    openClusterProbe({ access: async () => api.access, namespace: "ns", deployment: "runtime", configMap, limitMs: 5_000 });
  beforeEach(async () => {
    api = new FakeApi();
    await api.start();
    probe = open("scaling");
  });
  afterEach(async () => {
    probe.close();
    await api.stop();
  });

  it("asks nothing before it is asked", () => expect(api.asked).to.deep.equal([]));

  it("tells of the Deployment who else scales it and what the cluster refuses", async () => {
    const conditions = [{ type: "ReplicaFailure", status: "True", message: "quota" }];
    const managedFields = [{ manager: "keda", operation: "Update", fieldsV1: { "f:spec": { "f:replicas": {} } } }];
    api.put("deployments", { metadata: { name: "runtime", managedFields }, spec: { replicas: 4 }, status: { conditions } });
    expect(await probe.deployment()).to.deep.equal({ replicas: 4, failure: "quota", foreignScaler: "keda" });
  });

  it("says that there is no such Deployment", async () => {
    expect(await rejection(probe.deployment())).to.be.instanceOf(ConfigurationError);
  });

  for (const allowed of [true, false])
    it(`asks for one right and is told ${String(allowed)}`, async () => {
      api.failNext(/selfsubjectaccessreviews/, { kind: "status", status: 201, body: { status: { allowed } } });
      const right = { verb: "update", group: "apps", resource: "deployments", subresource: "scale", name: "runtime" };
      expect(await probe.may(right)).to.equal(allowed);
      const [asked] = api.asked;
      expect([asked?.method, asked?.path]).to.deep.equal(["POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"]);
      expect(asked?.body).to.deep.equal({
        apiVersion: "authorization.k8s.io/v1",
        kind: "SelfSubjectAccessReview",
        spec: { resourceAttributes: { namespace: "ns", ...right } },
      });
    });

  it("reads the ConfigMap, or says that there is none, or that none is named", async () => {
    expect(await probe.scalingData()).to.equal(undefined);
    api.put("configmaps", { metadata: { name: "scaling" }, data: { SCALER: "keda" } });
    expect(await probe.scalingData()).to.deep.equal({ SCALER: "keda" });
    const nameless = open(undefined);
    expect(await nameless.scalingData()).to.equal(undefined);
    nameless.close();
  });
});
