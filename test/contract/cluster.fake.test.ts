import { ApiClient } from "../../src/kubernetes/client.ts";
import { FakeApi } from "../support/fake-api.ts";
import { clusterContract } from "./cluster.suite.ts";

describe("Cluster contract: fake API server", () => {
  let api: FakeApi;
  let client: ApiClient;
  afterEach(async () => {
    client.close();
    await api.stop();
  });

  clusterContract(async () => {
    api = new FakeApi();
    await api.start();
    client = new ApiClient(api.access);
    return { client, namespace: "ns" };
  });
});
