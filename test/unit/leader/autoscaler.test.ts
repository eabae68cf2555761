import { EventEmitter } from "node:events";
import { expect } from "chai";
import type { Observed } from "../../../src/core/assignment.ts";
import type { FleetView, WorkerRecord } from "../../../src/core/records.ts";
import { Autoscaler } from "../../../src/leader/autoscaler.ts";
import type { LeaderEvents } from "../../../src/leader/events.ts";
import { aSegment, aWorker, segment, sid } from "../../support/builders.ts";
import { aPod, FakeCluster } from "../../support/fake-cluster.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { ModelStore } from "../../support/model-store.ts";

const COST = "controller.kubernetes.io/pod-deletion-cost";
/** What follows the first sign of more segments within so long goes into one write. */
const GATHERED_MS = 120;
const base = { mode: "native", min: 3, max: 40, standby: 0, cooldownMs: 30_000, checkIntervalMs: 15_000 } as const;

describe("leader/autoscaler Autoscaler", () => {
  let clock: FakeClock;
  let cluster: FakeCluster;
  let store: ModelStore;
  let scaler: Autoscaler;
  let told: string[];
  let bounds: string[];
  let bus: EventEmitter<LeaderEvents>;
  let end: AbortController;
  let running: Promise<void>;

  /** `count` active segments; workers "lead", "w1", "w2"...; the first ones own a segment each. */
  function look(count: number, workers: readonly string[] = ["lead", "w1", "w2"], owned = workers.length - 1): Observed {
    const ids = Array.from({ length: count }, (_, i) => segment(i + 1));
    const segments = ids.map((id, i) => aSegment(id, i < owned ? { state: "assigned", owner: sid(`w${i + 1}`) } : {}));
    return {
      active: ids,
      segments,
      workers: workers.map((id) => store.get<WorkerRecord>("workers", id) ?? aWorker(id)),
      leader: sid("lead"),
    };
  }
  const pods = (...names: string[]): void => {
    for (const name of names) {
      cluster.add(aPod(name));
      store.put("workers", aWorker(name));
    }
  };

  beforeEach(() => {
    clock = new FakeClock();
    cluster = new FakeCluster();
    store = new ModelStore();
    [told, bounds] = [[], []];
    bus = new EventEmitter<LeaderEvents>();
    bus.on("scaled", ({ from, to, why }) => told.push(`${from}->${to} ${why}`));
    bus.on("scaling:held", ({ why }) => told.push(`held ${why}`));
    bus.on("scaling:settings", ({ min, max }) => bounds.push(`${min} ${max}`));
    bus.on("scaling:refused", ({ reason }) => told.push(`refused ${reason}`));
    scaler = new Autoscaler({ cluster, store, clock, bus, base, pod: "lead" });
    end = new AbortController();
    pods("lead", "w1", "w2");
    running = scaler.run(end.signal);
  });
  afterEach(async () => {
    end.abort();
    await clock.advance(0);
    await running;
    expect(clock.sleeping).to.equal(0);
  });

  it("writes nothing before the leader has seen the fleet", async () => {
    await clock.advance(60_000);
    expect(cluster.writes).to.deep.equal([]);
  });

  it("brings pods for all that is inserted together by one write", async () => {
    await clock.advance(0);
    for (const count of [3, 20, 45]) {
      scaler.onObserved(look(count));
      await clock.advance(35);
    }
    await clock.advance(GATHERED_MS);
    expect(cluster.writes).to.deep.equal(["3->40"]);
  });

  it("grows, but does not shrink, on what it sees of a fleet that an earlier life may still run in", async () => {
    await clock.advance(0);
    scaler.onObserved(look(5), { mayShrink: false });
    await clock.advance(GATHERED_MS);
    expect(cluster.writes).to.deep.equal(["3->6"]);
    scaler.onObserved(look(2), { mayShrink: false });
    await clock.advance(120_000);
    expect(cluster.writes).to.deep.equal(["3->6"]);
  });

  it("tells once what keeps the cluster from having more pods, and again when that changes", async () => {
    await clock.advance(0);
    const [no, room] = ["0/2 nodes are available: Insufficient cpu", { phase: "Pending" } as const];
    cluster.add(aPod("w3", { ...room, pending: no }), aPod("w4", { ...room, pending: no }));
    for (let n = 0; n < 2; n++) {
      scaler.onObserved(look(2));
      await clock.advance(GATHERED_MS);
    }
    expect(cluster.told).to.deep.equal([`PodsPending: 2 pod(s) wait to be placed: ${no}`]);
    expect(scaler.told().missing).to.deep.equal({ failure: null, pending: [{ pods: 2, why: no }] });
    cluster.view = { replicas: 3, isRollingOut: false, foreignScaler: undefined, failure: "exceeded quota" };
    scaler.onCluster();
    await clock.advance(GATHERED_MS);
    expect(cluster.told.slice(1)).to.deep.equal([
      "PodsRefused: The cluster refuses new pods: exceeded quota",
      `PodsPending: 2 pod(s) wait to be placed: ${no}`,
    ]);
  });

  it("scales up within 120 ms, straight to the target, and tells", async () => {
    await clock.advance(0);
    scaler.onObserved(look(10));
    await clock.advance(GATHERED_MS);
    expect([cluster.writes, told]).to.deep.equal([["3->11"], ["3->11 segments"]]);
    expect(cluster.told).to.deep.equal(["Scaled: Scaling from 3 to 11 replicas: segments"]);
    expect(scaler.told()).to.deep.include({ bounds: { min: 3, max: 40 } });
  });

  it("tries again when somebody else wrote first", async () => {
    cluster.conflicts = 1;
    await clock.advance(0);
    scaler.onObserved(look(10));
    await clock.advance(15_000);
    expect(cluster.writes).to.deep.equal(["3->11"]);
  });

  it("scales down after the cooldown: victims drain and are priced lowest before the smaller count is written", async () => {
    pods("w3", "w4", "w5");
    cluster.view = { ...cluster.view!, replicas: 6 };
    const seen = (): Observed => look(2, ["lead", "w1", "w2", "w3", "w4", "w5"], 2);
    await clock.advance(0);
    scaler.onObserved(seen());
    await clock.advance(29_000);
    expect([cluster.writes, told]).to.deep.equal([[], ["held cooldown"]]);
    await clock.advance(1_500);
    const asked = ["w1", "w2", "w3", "w4", "w5"].filter((id) => store.get<WorkerRecord>("workers", id)?.drain === true);
    expect([cluster.writes, asked]).to.deep.equal([[], ["w3", "w4", "w5"]]);
    const cost = (id: string): number => Number(cluster.running.get(id)?.annotations[COST]);
    expect(Math.max(cost("w3"), cost("w4"), cost("w5"))).to.be.below(Math.min(cost("w1"), cost("w2")));
    expect(cost("lead")).to.be.above(cost("w1"));
    for (const id of asked) store.put("workers", { ...store.get<WorkerRecord>("workers", id)!, state: "draining" });
    scaler.onObserved(seen());
    await clock.advance(4_000);
    expect(cluster.writes).to.deep.equal(["6->3"]);
  });

  it("waits with the smaller count until a busy victim has let go of its segments", async () => {
    cluster.settings = { MAX_REPLICAS: "3" };
    pods("w3");
    cluster.view = { ...cluster.view!, replicas: 4 };
    const workers = ["lead", "w1", "w2", "w3"];
    await clock.advance(0);
    scaler.onObserved(look(3, workers, 3));
    await clock.advance(40_000);
    expect(cluster.writes).to.deep.equal([]);
    scaler.onObserved(look(3, workers, 2));
    await clock.advance(40_000);
    expect(cluster.writes).to.deep.equal(["4->3"]);
  });

  it("replaces a pod that was to go and was spared, for it takes no more work", async () => {
    pods("w3");
    cluster.view = { ...cluster.view!, replicas: 4 };
    const workers = ["lead", "w1", "w2", "w3"];
    await clock.advance(0);
    scaler.onObserved(look(2, workers, 2));
    await clock.advance(40_000);
    expect(cluster.writes).to.deep.equal(["4->3"]);
    await clock.advance(60_000);
    expect(cluster.deleted).to.deep.equal(["w3"]);
  });

  for (const { why, view, hold } of [
    { why: "during a rollout", view: { isRollingOut: true, replicas: 6 }, hold: "held rollout" },
    { why: "while somebody else owns the count", view: { foreignScaler: "kubectl-scale", replicas: 6 }, hold: "held foreign" },
  ])
    it(`does not scale down ${why}, and says so once`, async () => {
      cluster.view = { ...cluster.view!, ...view };
      await clock.advance(0);
      for (let i = 0; i < 5; i++) {
        scaler.onObserved(look(2));
        await clock.advance(20_000);
      }
      expect([cluster.writes, told]).to.deep.equal([[], [hold]]);
    });

  it("replaces pods that are lost while they are still counted", async () => {
    cluster.add(aPod("w2", { isLost: true }));
    await clock.advance(0);
    scaler.onObserved(look(2));
    await clock.advance(GATHERED_MS);
    expect(cluster.writes).to.deep.equal(["3->4"]);
  });

  it("takes new bounds from the ConfigMap at once, and keeps the old ones when they make no sense", async () => {
    await clock.advance(0);
    cluster.settings = { MIN_REPLICAS: "5" };
    scaler.onObserved(look(2));
    await clock.advance(GATHERED_MS);
    expect(cluster.writes).to.deep.equal(["3->5"]);
    cluster.settings = { MIN_REPLICAS: "9", MAX_REPLICAS: "4" };
    scaler.onCluster();
    await clock.advance(GATHERED_MS);
    scaler.onCluster();
    await clock.advance(GATHERED_MS);
    expect(told.filter((line) => line.startsWith("refused"))).to.have.length(1);
    expect(scaler.settings).to.deep.include({ min: 5, max: 40 });
    expect(bounds).to.deep.equal(["3 40", "5 40"]);
    expect(cluster.told.filter((line) => line.startsWith("InvalidScaling"))).to.have.length(1);
  });

  it("scales by nothing before it has read the ConfigMap that there is", async () => {
    cluster.settings = "unread";
    await clock.advance(0);
    scaler.onObserved(look(10));
    await clock.advance(60_000);
    expect(cluster.writes).to.deep.equal([]);
    cluster.settings = { MAX_REPLICAS: "4" };
    scaler.onCluster();
    await clock.advance(GATHERED_MS);
    expect(cluster.writes).to.deep.equal(["3->4"]);
  });

  it("tells nothing of what it did in an earlier leadership: another leader may have scaled since", async () => {
    await clock.advance(0);
    scaler.onObserved(look(10));
    await clock.advance(GATHERED_MS);
    expect(scaler.told().lastScaling).to.include({ from: 3, to: 11 });
    end.abort();
    await clock.advance(0);
    await running;
    end = new AbortController();
    running = scaler.run(end.signal);
    await clock.advance(0);
    expect(scaler.told()).not.to.have.property("lastScaling");
  });

  it("leaves the count to KEDA, and still says what it should be", async () => {
    cluster.settings = { SCALER: "keda" };
    await clock.advance(0);
    scaler.onObserved(look(10));
    await clock.advance(60_000);
    expect(cluster.writes).to.deep.equal([]);
  });

  it("drains nobody when the pods that never came are enough to go: unready ones are taken first", async () => {
    cluster.view = { ...cluster.view!, replicas: 5 };
    await clock.advance(0);
    scaler.onObserved(look(2));
    await clock.advance(40_000);
    const asked = ["w1", "w2"].filter((id) => store.get<WorkerRecord>("workers", id)?.drain === true);
    expect([cluster.writes, asked]).to.deep.equal([["5->3"], []]);
  });

  for (const mode of ["keda", "none"])
    describe(`while somebody else scales: ${mode}`, () => {
      const workers = ["lead", "w1", "w2", "w3", "w4"];
      const cost = (id: string): number => Number(cluster.running.get(id)?.annotations[COST] ?? 0);
      const drained = () => workers.filter((id) => store.get<WorkerRecord>("workers", id)?.drain === true);
      beforeEach(async () => {
        cluster.settings = { SCALER: mode };
        pods("w3", "w4");
        cluster.view = { ...cluster.view!, replicas: 5 };
        await clock.advance(0);
      });

      it("prices busy pods above idle ones and the leader above all, and drains and writes nothing", async () => {
        scaler.onObserved(look(2, workers, 2));
        await clock.advance(60_000);
        expect(Math.min(cost("w1"), cost("w2"))).to.be.above(Math.max(cost("w3"), cost("w4")));
        expect(cost("lead")).to.be.above(cost("w1"));
        expect([cluster.writes, drained(), cluster.deleted]).to.deep.equal([[], [], []]);
      });

      it("prices a pod anew as soon as it gets its first segment, and once it has none", async () => {
        scaler.onObserved(look(4, workers, 4));
        await clock.advance(0);
        expect(new Set(["w1", "w2", "w3", "w4"].map(cost)).size).to.equal(1);
        scaler.onObserved(look(2, workers, 2));
        await clock.advance(0);
        expect(Math.max(cost("w3"), cost("w4"))).to.be.below(0);
        scaler.onObserved(look(3, workers, 3));
        await clock.advance(0);
        expect([cost("w3"), cost("w4") < 0]).to.deep.equal([cost("w1"), true]);
      });

      it("writes to no pod whose price is right already: idle ones without a price are the cheapest", async () => {
        const patched: string[] = [];
        const patchPod = cluster.patchPod.bind(cluster);
        cluster.patchPod = (name, change) => (change.annotations && patched.push(name), patchPod(name, change));
        for (let i = 0; i < 5; i++) {
          scaler.onObserved(look(2, workers, 2));
          await clock.advance(15_000);
        }
        expect(patched.toSorted()).to.deep.equal(["lead", "w1", "w2"]);
      });

      it("never prices a busy pod lower for others that are only coming", async () => {
        scaler.onObserved(look(2, ["lead", "w1", "w2"], 2));
        await clock.advance(60_000);
        expect([cost("w1"), cost("w2")].every((price) => price > 0)).to.equal(true);
      });

      it("replaces a victim that the native scaler had asked to drain, for it takes no more work", async () => {
        cluster.settings = { SCALER: "native" };
        scaler.onObserved(look(3, workers, 3));
        await clock.advance(31_000);
        expect(drained()).to.deep.equal(["w4"]);
        cluster.settings = { SCALER: mode };
        scaler.onCluster();
        await clock.advance(60_000);
        expect([cluster.writes, cluster.deleted]).to.deep.equal([[], ["w4"]]);
      });

      it("takes the count over where it stands, and gives it back so: nothing is written, drained or deleted", async () => {
        for (const scaler_ of ["native", mode, "native"]) {
          cluster.settings = { SCALER: scaler_ };
          scaler.onCluster();
          scaler.onObserved(look(4, workers, 4));
          await clock.advance(60_000);
        }
        expect([cluster.writes, drained(), cluster.deleted]).to.deep.equal([[], [], []]);
      });

      it("begins the native scaler's cooldown anew: what was needed meanwhile nobody has watched", async () => {
        cluster.settings = { SCALER: "native" };
        scaler.onObserved(look(3, workers, 3));
        await clock.advance(15_000);
        cluster.settings = { SCALER: mode };
        scaler.onCluster();
        await clock.advance(600_000);
        cluster.settings = { SCALER: "native" };
        scaler.onCluster();
        await clock.advance(29_000);
        expect([cluster.writes, drained()]).to.deep.equal([[], []]);
      });
    });

  describe("and who else has the count", () => {
    const hpa = "kube-controller-manager";
    const owned = (by: string | undefined) => void (cluster.view = { ...cluster.view!, foreignScaler: by });
    const say = (mode: string, version: string): void => {
      [cluster.settings, cluster.version] = [{ SCALER: mode }, version];
      scaler.onCluster();
    };
    const wants = async (segments: number, ms = GATHERED_MS): Promise<void> => {
      scaler.onObserved(look(segments));
      await clock.advance(ms);
    };
    /** As Kubernetes does: who writes owns. */
    beforeEach(async () => {
      const writeScale = cluster.writeScale.bind(cluster);
      cluster.writeScale = (from, to) => (owned(undefined), writeScale(from, to));
      say("native", "1");
      await clock.advance(0);
      await wants(2);
    });

    it("scales on after a switch from KEDA, whose HPA still owns the count though it has gone", async () => {
      say("keda", "2");
      await wants(2);
      owned(hpa);
      say("native", "3");
      await wants(2, 600_000);
      await wants(5);
      expect([cluster.writes, told]).to.deep.equal([["3->6"], ["3->6 segments"]]);
    });

    it("bears an HPA that writes once more while it goes, and no later", async () => {
      say("keda", "2");
      await wants(2);
      say("native", "3");
      await wants(2, 1_000);
      owned(hpa);
      await wants(5, 1_000);
      owned(hpa);
      await wants(6, 90_000);
      expect(cluster.writes).to.deep.equal(["3->6", "6->7"]);
      owned(hpa);
      await wants(8, 60_000);
      expect([cluster.writes.length, told.at(-1)]).to.deep.equal([2, "held foreign"]);
    });

    it("leaves the count to who wrote it without a word of the operator's, until there is one", async () => {
      owned("kubectl");
      await wants(5, 60_000);
      expect([cluster.writes, told]).to.deep.equal([[], ["held foreign"]]);
      say("native", "2");
      await wants(5);
      expect(cluster.writes).to.deep.equal(["3->6"]);
      owned("kubectl");
      await wants(6, 60_000);
      expect(cluster.writes).to.deep.equal(["3->6"]);
    });

    it("knows that also as the next leader: what the last one knew is in its word on the fleet", async () => {
      owned("kubectl");
      await wants(5, 60_000);
      const { countOwner } = scaler.told();
      expect(countOwner).to.deep.equal({ version: "1", inherited: null });
      end.abort();
      await clock.advance(0);
      await running;
      store.published = { countOwner } as FleetView;
      end = new AbortController();
      running = scaler.run(end.signal);
      await clock.advance(0);
      await wants(5, 60_000);
      expect(cluster.writes).to.deep.equal([]);
      say("native", "2");
      await wants(5);
      expect(cluster.writes).to.deep.equal(["3->6"]);
    });
  });

  it("tells KEDA no smaller number than there is while an earlier life may still run, and larger ones at once", async () => {
    const said: number[] = [];
    bus.on("scaling:observed", ({ desired }) => said.push(desired));
    cluster.settings = { SCALER: "keda" };
    cluster.view = { ...cluster.view!, replicas: 6 };
    await clock.advance(0);
    scaler.onObserved(look(2), { mayShrink: false });
    await clock.advance(60_000);
    expect(said).to.deep.equal([]);
    scaler.onObserved(look(7), { mayShrink: false });
    await clock.advance(0);
    scaler.onObserved(look(2));
    await clock.advance(0);
    expect(said).to.deep.equal([8, 3]);
  });

  it("labels the leader's pod, and no other", async () => {
    cluster.add(aPod("w1", { labels: { "botrunner.io/leader": "true" } }));
    scaler.onCluster();
    await clock.advance(GATHERED_MS);
    expect([...cluster.running.values()].map(({ name, labels }) => [name, labels["botrunner.io/leader"]])).to.deep.equal([
      ["lead", "true"],
      ["w1", undefined],
      ["w2", undefined],
    ]);
  });

  it("tells the planner which pods are newest, and whether more may come", () => {
    cluster.add(aPod("w2", { generation: 2 }));
    const { generations, atCap } = scaler.facts([aWorker("w1"), aWorker("w2/2"), aWorker("w3")]);
    expect([[...(generations ?? [])], atCap]).to.deep.equal([
      [
        ["w1", 1],
        ["w2/2", 2],
        ["w3", 0],
      ],
      false,
    ]);
  });
});
