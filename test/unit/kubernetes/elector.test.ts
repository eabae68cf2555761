import { expect } from "chai";
import { EventEmitter } from "node:events";
import { electionTimings } from "../../../src/core/election.ts";
import { ApiClient } from "../../../src/kubernetes/client.ts";
import { KubernetesElection } from "../../../src/kubernetes/election.ts";
import { deploymentReference } from "../../../src/kubernetes/objects.ts";
import { Elector } from "../../../src/leader/elector.ts";
import { systemClock } from "../../../src/process/clock.ts";
import { sid } from "../../support/builders.ts";
import { eventually } from "../../support/eventually.ts";
import { FakeApi } from "../../support/fake-api.ts";

/** Four times as fast as in a cluster. */
const timings = electionTimings(250);

/** One candidate with a watch of its own, as a process has it. */
class Candidate {
  readonly end = new AbortController();
  readonly client: ApiClient;
  readonly ended: Promise<unknown>;
  leads = false;
  /** How often its watch has shown the lease free. */
  freed = 0;

  constructor(api: FakeApi, name: string) {
    this.client = new ApiClient(api.access);
    const options = {
      namespace: "ns",
      name: "lock",
      owner: deploymentReference({ name: "runtime", uid: "u-0" }),
      self: sid(name),
      callMs: 150,
      reachesStore: () => true,
      onFree: () => {
        this.freed += 1;
        elector.look();
      },
    };
    const election = new KubernetesElection({ ...options, client: this.client, clock: systemClock, random: Math.random });
    const elector: Elector = new Elector({
      election,
      clock: systemClock,
      random: Math.random,
      timings,
      self: sid(name),
      fitness: () => ({ isBarred: false, isBusy: false, isFresh: false }),
      bus: new EventEmitter(),
    });
    const lead = async (signal: AbortSignal): Promise<void> => {
      this.leads = true;
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      this.leads = false;
    };
    this.ended = Promise.all([election.run(this.end.signal), elector.run(lead, this.end.signal)]);
  }

  async stop(): Promise<void> {
    this.end.abort();
    await this.ended;
    this.client.close();
  }
}

describe("kubernetes: Elector over the Lease", () => {
  let api: FakeApi;
  let all: Candidate[];
  const leaders = (): Candidate[] => all.filter(({ leads }) => leads);
  const oneLeads = (): Promise<unknown> => eventually("one leads", async () => leaders().length === 1);

  beforeEach(async () => {
    api = new FakeApi();
    await api.start();
    api.put("leases", { metadata: { name: "lock", labels: { keep: "me" } } });
    all = ["a", "b", "c"].map((name) => new Candidate(api, name));
    await oneLeads();
  });
  afterEach(async () => {
    await Promise.all(all.map((candidate) => candidate.stop()));
    await api.stop();
  });

  it("hands over at once when the leader stops in order, and counts the change", async () => {
    const [first] = leaders();
    const others = all.filter((candidate) => candidate !== first);
    const before = others.map(({ freed }) => freed);
    await first?.stop();
    await eventually("the watches of the others tell them", async () => others.every(({ freed }, i) => freed > (before[i] ?? 0)));
    await oneLeads();
    expect(leaders()[0]).not.to.equal(first);
    expect(api.get("leases", "lock")?.["spec"]).to.include({ leaseTransitions: 2 });
    expect(api.get("leases", "lock")?.metadata).to.deep.include({ labels: { keep: "me" } });
  }).timeout(30_000);

  it("leads on through answers of 500, 429 and lost replies", async () => {
    const [first] = leaders();
    for (const fault of [
      { kind: "status", status: 500 },
      { kind: "status", status: 429, headers: { "retry-after": "0" } },
      { kind: "lose" },
      { kind: "hang" },
    ] as const) {
      const before = api.asked.length;
      api.failNext(/^PUT/, fault);
      await eventually("three more writes", async () => api.asked.slice(before).filter(({ method }) => method === "PUT").length > 3);
      expect(leaders()).to.deep.equal([first]);
    }
  }).timeout(30_000);

  it("stops leading while the API server is away, and one leads when it is back", async () => {
    const { port } = api;
    await api.stop();
    await eventually("nobody leads", async () => leaders().length === 0);
    await api.start(port);
    await oneLeads();
  }).timeout(30_000);
});
