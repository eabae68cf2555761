import { randomUUID } from "node:crypto";
import { loadAccess } from "../../src/kubernetes/access.ts";
import { ApiClient } from "../../src/kubernetes/client.ts";
import { pathOf } from "../../src/kubernetes/objects.ts";
import { clusterContract } from "./cluster.suite.ts";

/** Time of one call in the preparation, in ms. */
const LIMIT_MS = 10_000;

/** Over the real API server that KUBECONFIG names, if it does, each test in a namespace of its own: etcd and kube-apiserver suffice. */
describe("Cluster contract: real API server", function () {
  this.timeout(60_000);
  // Until scripts can bring a cluster up this is for people who name one: a test left out would count as a failure in the gate.
  if ((process.env["KUBECONFIG"] ?? "") === "") return;
  let client: ApiClient;
  let namespace: string;
  before(async () => {
    client = new ApiClient(await loadAccess({ KUBECONFIG: process.env["KUBECONFIG"] }));
  });
  after(() => client.close());
  afterEach(async () => {
    await client.call({
      verb: "delete",
      what: "namespaces",
      path: `/api/v1/namespaces/${namespace}`,
      limitMs: LIMIT_MS,
      expect: [404, 409],
    });
  });

  clusterContract(async () => {
    namespace = `contract-${randomUUID()}`;
    const body = { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } };
    await client.call({ verb: "create", what: "namespaces", path: "/api/v1/namespaces", body, limitMs: LIMIT_MS });
    // Without a controller manager nobody else makes it, and pods are refused without one.
    const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default" } };
    const path = pathOf("v1", namespace, "serviceaccounts");
    await client.call({ verb: "create", what: "serviceaccounts", path, body: account, limitMs: LIMIT_MS, expect: [409] });
    return { client, namespace };
  });
});
