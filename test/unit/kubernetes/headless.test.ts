import { EventEmitter } from "node:events";
import { expect } from "chai";
import { electionTimings } from "../../../src/core/election.ts";
import type { Session } from "../../../src/core/session.ts";
import { KUBERNETES_TIMINGS, withCall } from "../../../src/core/timings.ts";
import { ApiClient } from "../../../src/kubernetes/client.ts";
import { KubernetesElection } from "../../../src/kubernetes/election.ts";
import { deploymentReference } from "../../../src/kubernetes/objects.ts";
import { Elector } from "../../../src/leader/elector.ts";
import { systemClock as clock } from "../../../src/process/clock.ts";
import { HeadlessWatch } from "../../../src/worker/headless-watch.ts";
import { sid } from "../../support/builders.ts";
import { eventually } from "../../support/eventually.ts";
import { FakeApi } from "../../support/fake-api.ts";

/** Four times as fast as in a cluster, and with seconds for minutes. */
const RENEW_MS = 250;
const LIMIT_MS = 1_500;
const timings = withCall({ ...KUBERNETES_TIMINGS, renewMs: RENEW_MS, softMs: 750 });

describe("kubernetes: a headless worker and its leader's Lease", () => {
  let api: FakeApi;
  let end: AbortController;
  let clients: ApiClient[];
  let running: Promise<unknown>[];
  let reaches: boolean;
  let looks: number;
  let hasGivenUp: boolean;

  /** Stands for election; who is not `fit` only watches. */
  function candidate(name: string, isFit: boolean): Elector {
    const client = new ApiClient(api.access);
    clients.push(client);
    const owner = deploymentReference({ name: "runtime", uid: "u-0" });
    const place = { client, namespace: "ns", name: "lock", owner, callMs: 150 };
    const election = new KubernetesElection({ ...place, clock, random: () => 0, self: sid(name), reachesStore: () => reaches });
    const fitness = () => ({ isBarred: !isFit, isBusy: false, isFresh: false });
    const elector = new Elector({
      election,
      clock,
      random: () => 0,
      timings: electionTimings(RENEW_MS),
      self: sid(name),
      fitness,
      bus: new EventEmitter(),
    });
    const lead = (signal: AbortSignal): Promise<void> =>
      new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    running.push(election.run(end.signal), elector.run(lead, end.signal));
    return elector;
  }

  beforeEach(async () => {
    api = new FakeApi();
    await api.start();
    [end, clients, running, reaches, looks, hasGivenUp] = [new AbortController(), [], [], false, 0, false];
    candidate("leader", true);
    const own = candidate("me", false);
    await eventually("a leader is seen", async () => own.sight?.found?.record.holder === "leader");
    // MongoDB was lost long ago, and the own Lease has just been renewed, at each look.
    const session = (): Session => ({
      sid: sid("me"),
      inc: 1,
      store: { provenAt: (clock.mono() - 60_000) as never },
      lease: { provenAt: clock.mono() },
    });
    const leader = () => ((looks += 1), own.sight);
    const watch = new HeadlessWatch({
      session,
      leader,
      clock,
      timings,
      bus: new EventEmitter(),
      limitMs: LIMIT_MS,
      giveUp: () => (hasGivenUp = true),
    });
    running.push(watch.run(end.signal));
  });
  afterEach(async () => {
    end.abort();
    await Promise.all(running);
    for (const client of clients) client.close();
    await api.stop();
  });

  /** So many more looks of the worker. */
  const looked = (more: number): Promise<unknown> => {
    const from = looks;
    return eventually(`${more} more looks`, async () => looks >= from + more);
  };
  const ENOUGH = 2 + LIMIT_MS / RENEW_MS;

  it("lets the worker keep its bots while the leader does not reach MongoDB, and gives up some time after it does", async () => {
    await looked(ENOUGH);
    expect(hasGivenUp).to.equal(false);
    reaches = true;
    await eventually("it has given up", async () => hasGivenUp);
  }).timeout(30_000);

  it("lets the worker keep its bots while the API server shows it nothing, and counts anew then", async () => {
    reaches = true;
    const { port } = api;
    await api.stop();
    await looked(electionTimings(RENEW_MS).leaseMs / RENEW_MS + ENOUGH);
    expect(hasGivenUp).to.equal(false);
    await api.start(port);
    await eventually("it has given up", async () => hasGivenUp);
  }).timeout(30_000);
});
