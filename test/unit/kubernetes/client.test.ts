import { expect } from "chai";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ClusterRefusedError, ClusterUnreachableError, ConfigurationError } from "../../../src/core/errors.ts";
import { loadAccess } from "../../../src/kubernetes/access.ts";
import { ApiClient, type ApiRequest } from "../../../src/kubernetes/client.ts";
import { rejection } from "../../contract/engine.suite.ts";
import { FakeApi } from "../../support/fake-api.ts";

const path = "/apis/apps/v1/namespaces/ns/deployments/runtime";
const ask: ApiRequest = { verb: "get", what: 'deployments "runtime"', path, limitMs: 5_000 };
const any = /./;

describe("kubernetes: ApiClient", () => {
  let api: FakeApi;
  let client: ApiClient;
  beforeEach(async () => {
    api = new FakeApi();
    await api.start();
    api.put("deployments", { metadata: { name: "runtime" } });
    client = new ApiClient(api.access);
  });
  afterEach(async () => {
    client.close();
    await api.stop();
  });

  for (const { why, status, error } of [
    { why: "500", status: 500, error: ClusterUnreachableError },
    { why: "503", status: 503, error: ClusterUnreachableError },
    { why: "401", status: 401, error: ClusterRefusedError },
    { why: "403", status: 403, error: ClusterRefusedError },
    { why: "422", status: 422, error: ClusterRefusedError },
  ]) {
    it(`names verb, resource and the server's words: ${why}`, async () => {
      api.failNext(any, { kind: "status", status, body: { message: 'no\nright to "x"' } });
      const fault = await rejection(client.call(ask));
      expect(fault).to.be.instanceOf(error);
      expect((fault as Error).message).to.equal(`Cannot get deployments "runtime": the API server answered ${status}: no right to "x"`);
    });
  }

  it("comes again when a 429 says so, within the call's time", async () => {
    api.failNext(any, { kind: "status", status: 429, headers: { "retry-after": "0" } }, 2);
    expect((await client.call(ask)).status).to.equal(200);
    expect(api.asked).to.have.length(3);
  });

  it("waits no longer for a 429 than the call may take, and says why", async () => {
    api.failNext(any, { kind: "status", status: 429, headers: { "retry-after": "60" } });
    const fault = await rejection(client.call({ ...ask, limitMs: 50 }));
    expect(fault).to.be.instanceOf(ClusterUnreachableError);
    expect(api.asked).to.have.length(1);
  });

  it("ends a call without an answer, and one that is broken off", async () => {
    api.failNext(any, { kind: "hang" });
    expect(await rejection(client.call({ ...ask, limitMs: 50 }))).to.be.instanceOf(ClusterUnreachableError);
    api.failNext(any, { kind: "cut" });
    expect(await rejection(new ApiClient(api.access).call(ask))).to.be.instanceOf(ClusterUnreachableError);
  });

  it("ends a call whose answer stops half-way", async () => {
    api.failNext(any, { kind: "stall" });
    expect(await rejection(client.call({ ...ask, limitMs: 50 }))).to.be.instanceOf(ClusterUnreachableError);
  });

  it("ends the opening of a stream in time", async () => {
    api.failNext(any, { kind: "hang" });
    expect(await rejection(client.open({ ...ask, limitMs: 50 }))).to.be.instanceOf(ClusterUnreachableError);
  });

  it("makes a new connection where the kept one was closed meanwhile", async () => {
    await client.call(ask);
    api.failNext(any, { kind: "cut" });
    expect((await client.call(ask)).status).to.equal(200);
  });

  it("is not told of a server that is away as a refusal, and goes on when it is back", async () => {
    const { port } = api;
    await api.stop();
    expect(await rejection(client.call(ask))).to.be.instanceOf(ClusterUnreachableError);
    await api.start(port);
    expect((await client.call(ask)).status).to.equal(200);
  });

  it("ends with the reason of its signal", async () => {
    const end = new AbortController();
    api.failNext(any, { kind: "hang" });
    const called = rejection(client.call({ ...ask, signal: end.signal }));
    const reason = new Error("enough");
    end.abort(reason);
    expect(await called).to.equal(reason);
  });

  it("takes an answer that is no JSON for none", async () => {
    await api.stop();
    const { createServer } = await import("node:http");
    const proxy = createServer((_, response) => response.end("<html>"));
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const { port } = proxy.address() as { port: number };
    const other = new ApiClient({ ...api.access, server: `http://127.0.0.1:${port}` });
    expect(await rejection(other.call(ask))).to.be.instanceOf(ClusterUnreachableError);
    other.close();
    await new Promise((resolve) => proxy.close(resolve));
  });

  describe("the way in", () => {
    let directory: string;
    beforeEach(async () => {
      directory = await mkdtemp(join(tmpdir(), "access-"));
    });
    afterEach(() => rm(directory, { recursive: true }));

    it("is the service account, whose token is read anew for each request", async () => {
      for (const [name, text] of Object.entries({ token: "one\n", namespace: "ns", "ca.crt": "PEM" })) {
        await writeFile(join(directory, name), text);
      }
      const access = await loadAccess({ KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "443" }, directory);
      expect(access).to.include({ server: "https://[fd00::1]:443", namespace: "ns", ca: "PEM" });
      const other = new ApiClient({ ...access, server: api.access.server });
      await other.call(ask);
      await writeFile(join(directory, "token"), "two");
      await other.call(ask);
      await rm(join(directory, "token"));
      await other.call(ask);
      expect(api.asked.map(({ headers }) => headers.authorization)).to.deep.equal(["Bearer one", "Bearer two", "Bearer two"]);
      other.close();
    });

    it("is a kubeconfig outside", async () => {
      const [ca, key] = ["CA", "KEY"].map((text) => Buffer.from(text).toString("base64"));
      const lines = [
        "apiVersion: v1",
        "kind: Config",
        "current-context: here",
        `clusters: [{ name: c, cluster: { server: "https://127.0.0.1:1/", certificate-authority-data: ${ca} } }]`,
        `users: [{ name: u, user: { client-key-data: ${key}, token: secret } }]`,
        "contexts: [{ name: here, context: { cluster: c, user: u, namespace: there } }]",
      ];
      const file = join(directory, "config");
      await writeFile(file, lines.join("\n"));
      expect(await loadAccess({ KUBECONFIG: file })).to.deep.equal({
        server: "https://127.0.0.1:1",
        namespace: "there",
        ca: "CA",
        key: "KEY",
        isUnverified: false,
        headers: { Authorization: "Bearer secret" },
      });
    }).timeout(20_000);

    it("is told to be missing", async () => {
      expect(await rejection(loadAccess({}))).to.be.instanceOf(ConfigurationError);
      expect(await rejection(loadAccess({ KUBERNETES_SERVICE_HOST: "10.0.0.1" }, directory))).to.be.instanceOf(ConfigurationError);
      expect(await rejection(loadAccess({ KUBECONFIG: join(directory, "none") }))).to.be.instanceOf(ConfigurationError);
    }).timeout(20_000);
  });
});
