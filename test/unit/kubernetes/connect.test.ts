import { expect } from "chai";
import { ClusterUnreachableError, ConfigurationError } from "../../../src/core/errors.ts";
import { KUBERNETES_TIMINGS as timings } from "../../../src/core/timings.ts";
import { type ClusterConnection, connectCluster, openOwnLease } from "../../../src/kubernetes/connect.ts";
import { renewLease } from "../../../src/core/lease.ts";
import { systemClock } from "../../../src/process/clock.ts";
import { rejection } from "../../contract/engine.suite.ts";
import { sid } from "../../support/builders.ts";
import { FakeApi } from "../../support/fake-api.ts";

describe("kubernetes: connectCluster()", () => {
  let api: FakeApi;
  let connection: ClusterConnection;
  const place = () => ({ access: api.access, namespace: "ns", deployment: "runtime", lock: "lock", pod: "pod-a", timings });

  beforeEach(async () => {
    api = new FakeApi();
    await api.start();
    connection = connectCluster({ ...place(), configMap: undefined, clock: systemClock, random: () => 0, onFault: () => {} });
  });
  afterEach(async () => {
    connection.close();
    await api.stop();
  });

  it("finds the Deployment whose pods these are", async () => {
    api.put("deployments", { metadata: { name: "runtime" } });
    expect(await connection.deploymentUid()).to.equal(api.get("deployments", "runtime")?.metadata.uid);
  });

  for (const { status, says } of [
    { status: 404, says: 'DEPLOYMENT_NAME: there is no Deployment "runtime" in namespace "ns": set DEPLOYMENT_NAME and NAMESPACE' },
    { status: 403, says: 'DEPLOYMENT_NAME: the service account of these pods may not read Deployment "runtime": give it the Role' },
  ])
    it(`says which setting or right is wrong after a ${status}`, async () => {
      api.failNext(/^GET/, { kind: "status", status });
      const fault = await rejection(connection.deploymentUid());
      expect(fault).to.be.instanceOf(ConfigurationError);
      expect((fault as Error).message).to.include(says);
    });

  it("lets an API server that is away be tried again", async () => {
    api.failNext(/^GET/, { kind: "status", status: 503 });
    expect(await rejection(connection.deploymentUid())).to.be.instanceOf(ClusterUnreachableError);
  });

  it("makes workers' Leases that go with the Deployment", async () => {
    const lease = openOwnLease({ ...place(), deploymentUid: "u-1" }, () => new Date());
    await lease.write(renewLease({ sid: sid("pod-uid"), inc: 1, incarnation: "life" }, undefined));
    const { metadata } = api.get("leases", "lock-pod-uid") ?? {};
    expect(metadata?.["ownerReferences"]).to.deep.equal([{ apiVersion: "apps/v1", kind: "Deployment", name: "runtime", uid: "u-1" }]);
  });
});
