import { expect } from "chai";
import type { Leadership } from "../../../src/core/election.ts";
import { ClusterRefusedError, ClusterUnreachableError } from "../../../src/core/errors.ts";
import { ApiClient } from "../../../src/kubernetes/client.ts";
import { KubernetesElection } from "../../../src/kubernetes/election.ts";
import { deploymentReference } from "../../../src/kubernetes/objects.ts";
import { systemClock } from "../../../src/process/clock.ts";
import { isPassing } from "../../../src/process/retry.ts";
import { rejection } from "../../contract/engine.suite.ts";
import { sid } from "../../support/builders.ts";
import { eventually } from "../../support/eventually.ts";
import { FakeApi } from "../../support/fake-api.ts";

const led = (by: string, changes = 1): Leadership => ({ holder: sid(by), leaseMs: 8_000, changes });
const spec = (holderIdentity: string) => ({ holderIdentity, leaseDurationSeconds: 8, leaseTransitions: 1 });

describe("kubernetes: KubernetesElection", () => {
  let api: FakeApi;
  let client: ApiClient;
  let end: AbortController;
  let election: KubernetesElection;
  let running: Promise<void>;
  let reaches: boolean;
  const shown = (holder: string | null): Promise<unknown> =>
    eventually(`${holder} is seen`, async () => (await election.read())?.record.holder === holder);
  const gets = (): number => api.asked.filter(({ method, path }) => method === "GET" && path.endsWith("/leases/lock")).length;

  beforeEach(async () => {
    api = new FakeApi();
    await api.start();
    client = new ApiClient(api.access);
    end = new AbortController();
    reaches = true;
    api.put("leases", { metadata: { name: "lock" }, spec: spec("x") });
    election = new KubernetesElection({
      client,
      clock: systemClock,
      random: () => 0,
      namespace: "ns",
      name: "lock",
      owner: deploymentReference({ name: "runtime", uid: "u-0" }),
      self: sid("me"),
      reachesStore: () => reaches,
      callMs: 500,
    });
    running = election.run(end.signal);
    await eventually("a stream is open", async () => api.openStreams === 1);
  });
  afterEach(async () => {
    end.abort();
    await running;
    client.close();
    await api.stop();
  });

  it("asks for nothing while it stands by", async () => {
    const before = api.asked.length;
    for (let i = 0; i < 100; i++) {
      api.put("leases", { metadata: { name: "lock" }, spec: spec(`x${i}`) });
      await election.read();
    }
    await shown("x99");
    expect(api.asked).to.have.length(before);
  });

  it("asks the server after a conflict, until the copy has caught up", async () => {
    await shown("x");
    const seen = await election.read();
    api.endStreams("end"); // nobody tells the copy of the next write
    api.put("leases", { metadata: { name: "lock" }, spec: spec("y") });
    expect(await election.write(led("me", 2), seen?.version)).to.equal("conflict");
    expect((await election.read())?.record.holder).to.equal("y");
    expect(gets()).to.be.greaterThan(0);
    await eventually("it asks no more", async () => {
      const before = gets();
      await election.read();
      return gets() === before;
    });
  });

  it("asks the server after a write whose outcome nobody knows, and finds that it had landed", async () => {
    const seen = await election.read();
    await election.write(led("me", 2), seen?.version);
    const mine = await election.read();
    api.failNext(/^PUT/, { kind: "hang" });
    expect(await rejection(election.write(led("me", 2), mine?.version))).to.be.instanceOf(ClusterUnreachableError);
    expect((await election.read())?.version).to.equal(api.get("leases", "lock")?.metadata.resourceVersion);
  });

  it("writes again from what is there when the reply to a write was lost", async () => {
    const seen = await election.read();
    api.failNext(/^PUT/, { kind: "lose" });
    // On a kept connection the client asks again by itself, and learns that something has been written meanwhile.
    const first = await election.write(led("me", 2), seen?.version).catch(() => "lost");
    expect(first).to.be.oneOf(["conflict", "lost"]);
    const there = await election.read();
    expect(there?.record).to.deep.equal(led("me", 2));
    expect(await election.write(led("me", 2), there?.version)).not.to.equal("conflict");
  });

  for (const { why, fault, is } of [
    { why: "500", fault: { kind: "status", status: 500 }, is: ClusterUnreachableError },
    { why: "403", fault: { kind: "status", status: 403 }, is: ClusterRefusedError },
    { why: "429 for too long", fault: { kind: "status", status: 429, headers: { "retry-after": "9" } }, is: ClusterUnreachableError },
  ] as const) {
    it(`throws what loops bear: ${why}`, async () => {
      const seen = await election.read();
      api.failNext(/^PUT/, fault);
      expect(await rejection(election.write(led("me", 2), seen?.version)))
        .to.be.instanceOf(is)
        .and.satisfy(isPassing);
    });
  }

  describe("whether the leader reaches MongoDB", () => {
    const word = (): unknown => (api.get("leases", "lock")?.metadata["annotations"] as Record<string, string> | undefined)?.[STORE_SEEN];
    const STORE_SEEN = "botrunner.io/store-seen";
    const leave = (annotations: Record<string, string>): void =>
      void api.put("leases", { metadata: { name: "lock", annotations }, spec: spec("x") });

    it("is said anew with each renewal, and by no write of its own", async () => {
      const said: unknown[] = [];
      let version = (await election.read())?.version;
      const before = api.asked.length;
      for (reaches of [true, false, true]) {
        const written = await election.write(led("me", 2), version);
        version = written === "conflict" ? undefined : written.version;
        said.push(word(), (await election.read())?.reachesStore);
      }
      expect(said).to.deep.equal(["me", true, undefined, false, "me", true]);
      expect(api.asked.slice(before).filter(({ method }) => method !== "GET").length).to.equal(3);
    });

    it("leaves the record that other tools read as it is, and annotations that are not ours", async () => {
      leave({ note: "x" });
      await eventually(
        "the note is seen",
        async () => (await election.read())?.version === api.get("leases", "lock")?.metadata.resourceVersion,
      );
      const { record, version } = (await election.read()) as { record: Leadership; version: string };
      await election.write({ ...record, holder: sid("me") }, version);
      const lease = api.get("leases", "lock");
      expect(lease?.metadata["annotations"]).to.deep.equal({ note: "x", [STORE_SEEN]: "me" });
      expect(Object.keys(lease?.["spec"] as object).sort()).to.deep.equal([
        "acquireTime",
        "holderIdentity",
        "leaseDurationSeconds",
        "leaseTransitions",
        "renewTime",
      ]);
    });

    it("is taken back when leadership is given up", async () => {
      const seen = await election.read();
      const written = await election.write(led("me", 2), seen?.version);
      await election.write({ ...led("me", 2), holder: null }, written === "conflict" ? undefined : written.version);
      expect([word(), (await election.read())?.reachesStore]).to.deep.equal([undefined, false]);
    });

    for (const { why, annotations, gives } of [
      { why: "its own", annotations: { [STORE_SEEN]: "x" }, gives: true },
      { why: "none", annotations: {}, gives: false },
      { why: "one of an earlier leader, kept by a version that does not know it", annotations: { [STORE_SEEN]: "me" }, gives: false },
    ] as { why: string; annotations: Record<string, string>; gives: boolean }[])
      it(`is read from another's renewal, whose word is ${why}: ${gives}`, async () => {
        leave(annotations);
        const { metadata } = api.get("leases", "lock") ?? {};
        await eventually("the write is seen", async () => (await election.read())?.version === metadata?.resourceVersion);
        expect((await election.read())?.reachesStore).to.equal(gives);
      });
  });

  it("finds a Lease that was deleted, and makes it anew", async () => {
    await shown("x");
    api.remove("leases", "lock");
    await eventually("nothing is there", async () => (await election.read()) === undefined);
    expect(await election.write(led("me"), undefined)).not.to.equal("conflict");
    expect(api.get("leases", "lock")?.["spec"]).to.include({ holderIdentity: "me" });
  });
});
