import { PassThrough } from "node:stream";
import { expect } from "chai";
import type { FleetReport } from "../../../src/cli/fleet-view.ts";
import type { CliDeps, FleetBooks } from "../../../src/cli/ports.ts";
import { runProgram } from "../../../src/cli/program.ts";
import type { FoundLeadership } from "../../../src/core/election.ts";
import { renewSession, stepDown, releaseSegment, continueSession, endSession } from "../../../src/core/operations.ts";
import { aFleetView, aSegment, aWorker, epoch, segment, sid } from "../../support/builders.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { modelBooks } from "../../support/model-books.ts";
import { ModelStore } from "../../support/model-store.ts";

type Tick = (store: ModelStore, second: number) => unknown;

/** Runs a command line over these books; each second that passes, `tick` is what the fleet does meanwhile. */
async function cli(args: readonly string[], books: FleetBooks, store: ModelStore, tick: Tick = () => {}, tty?: number) {
  const clock = new FakeClock();
  const out = { stdout: "", stderr: "" };
  const stream = (name: "stdout" | "stderr") => {
    const through = new PassThrough().on("data", (chunk: Buffer) => (out[name] += chunk.toString()));
    return Object.assign(through, tty === undefined ? {} : { isTTY: true, columns: tty });
  };
  let isOver = false;
  const over = runProgram(args, {
    version: "1",
    env: { MONGO_URI: "mongodb://h", COORDINATION: "mongo", FENCE_DIR: "/run/fence" },
    openFleetBooks: async () => books,
    clock,
    stdout: stream("stdout"),
    stderr: stream("stderr"),
  } as unknown as CliDeps).finally(() => (isOver = true));
  await clock.advance(0);
  const passTime = async (second: number): Promise<void> => {
    if (isOver || second > 1_000) return;
    await tick(store, second);
    await clock.advance(1_000);
    await passTime(second + 1);
  };
  await passTime(1);
  return { code: await over, ...out, seconds: clock.mono() / 1_000 };
}

/** Three workers: a leads and owns nothing, b owns 1 and 2 and does not renew, c has died with 3; 4 is new, 2 moves. */
function fleet() {
  const store = new ModelStore();
  let version = 1;
  store.put("control", { _id: "fleet", owner: "local/runtime", coordination: "mongo", schema: 1, incarnation: "i", settled: true });
  store.put("control", { _id: "leader", term: 4 });
  const opened = new Date(1_800_000_000_000 - 3_600_000);
  store.put("workers", aWorker("b", { hbSeq: 9, opened, node: "n2" }));
  store.put("workers", aWorker("a", { hbSeq: 5, opened, node: "n1" }));
  store.put("workers", aWorker("c", { state: "dead" }));
  store.put("segments", aSegment(1, { state: "assigned", owner: sid("b") }));
  store.put("segments", aSegment(2, { state: "revoking", owner: sid("b"), target: sid("a") }));
  store.put("segments", aSegment(3, { state: "assigned", owner: sid("c") }));
  for (const n of [1, 2, 3, 4]) store.put("placements", { _id: `bot-${n}`, segment: n, active: true, done: null });
  store.published = aFleetView({
    leader: "pod-a",
    sid: sid("a"),
    total_segments: 4,
    assigned_segments: 2,
    orphaned_segments: 1,
    segment_backlog: 3,
    observedAt: new Date(1_800_000_000_000 - 4_000),
  });
  const lease = (): FoundLeadership => ({ record: { holder: sid("a"), leaseMs: 8_000, changes: 1 }, version: String(version) });
  const books = modelBooks(store, lease);
  const tick: Tick = async () => {
    version += 1;
    await store.apply(renewSession(sid("a"), 1));
  };
  return { store, books, tick };
}

const reportOf = (text: string): FleetReport => JSON.parse(text) as FleetReport;
const tokens = (text: string): string[] => text.split("\n").map((line) => line.split(/ {2,}/).join("|"));

describe("runtime fleet", () => {
  it("shows who leads, who runs what, and what waits and moves", async () => {
    const { store, books, tick } = fleet();
    const { code, stdout, stderr } = await cli(["fleet"], books, store, tick);
    expect({ code, stderr, closed: books.closed }).to.deep.equal({ code: 0, stderr: "", closed: 1 });
    expect(tokens(stdout)).to.deep.equal([
      "Fleet:|local/runtime, COORDINATION=mongo",
      "Leader:|pod-a, which renews",
      "Segments:|4 active, 2 assigned, 1 orphaned, backlog 3",
      "Workers:|1 available, 1 ended",
      "Figures of:|2027-01-15T07:59:56Z, 5.5 s ago",
      "",
      "POD|STATE|RENEWS|DRAIN|SEGMENTS|AGE|NODE|SESSION",
      "pod-a|up, leads|yes|-|0|1 h|n1|a",
      "pod-b|up|no|-|2|1 h|n2|b",
      "",
      "Waiting for a worker (2):",
      "SEGMENT|WHY",
      "3|its owner pod-c is dead",
      "4|new: no leader has seen it yet",
      "",
      "Moving (1):",
      "SEGMENT|STEP|FROM|TO",
      "2|revoking|pod-b|pod-a",
      "",
    ]);
  });

  for (const { why, sidOf, gives } of [
    { why: "who has lost MongoDB and lives by its Lease", sidOf: "b", gives: ["Lease only, 5 min 2 s", "2027-01-15T07:55:00.000Z"] },
    { why: "nothing of the kind of who renews by now", sidOf: "a", gives: ["no", null] },
  ])
    it(`shows ${why}`, async () => {
      const given = fleet();
      const headless = [{ sid: sid(sidOf), since: new Date(1_800_000_000_000 - 300_000) }];
      given.store.published = { ...(given.store.published ?? aFleetView()), headless };
      const { stdout } = await cli(["fleet"], given.books, given.store, given.tick);
      expect(
        tokens(stdout)
          .find((line) => line.startsWith("pod-b|"))
          ?.split("|")[2],
      ).to.equal(gives[0]);
      const again = fleet();
      again.store.published = { ...(again.store.published ?? aFleetView()), headless };
      const { stdout: json } = await cli(["fleet", "--output", "json"], again.books, again.store, again.tick);
      expect(reportOf(json).workers.find((w) => w.session === sid("b"))?.headlessSince).to.equal(gives[1]);
      expect(reportOf(json).workers.find((w) => w.session === sid("a"))?.headlessSince).to.equal(null);
    });

  it("prints JSON whole", async () => {
    const { store, books, tick } = fleet();
    const { stdout } = await cli(["fleet", "--output", "json", "--all"], books, store, tick, 40);
    const report = reportOf(stdout);
    expect(Object.keys(report)).to.deep.equal([
      "fleet",
      "leader",
      "term",
      "figures",
      "observed",
      "lastScaling",
      "missing",
      "workers",
      "waiting",
      "moving",
    ]);
    expect(report.leader).to.deep.equal({ pod: "pod-a", session: "a", renews: true });
    expect(report.figures).to.deep.equal({
      total_segments: 4,
      assigned_segments: 2,
      orphaned_segments: 1,
      available_workers: 1,
      segment_backlog: 3,
    });
    expect(report.workers.map((w) => [w.session, w.state, w.leads, w.renews, w.segments])).to.deep.equal([
      ["a", "up", true, true, []],
      ["b", "up", false, false, [1, 2]],
      ["c", "dead", false, null, [3]],
    ]);
    expect(report.moving).to.deep.equal([{ segment: 2, step: "revoking", from: "b", to: "a" }]);
  });

  it("hides those who have ended unless told", async () => {
    const { store, books, tick } = fleet();
    const { stdout } = await cli(["fleet", "--output", "json"], books, store, tick);
    expect(reportOf(stdout).workers.map((w) => w.pod)).to.deep.equal(["pod-a", "pod-b"]);
    expect((await cli(["fleet", "--all"], books, store, tick)).stdout).to.match(/^pod-c +dead +- /m);
  });

  it("says of a leader that stands still that it does, and looks for 1.5 renewals", async () => {
    const { store, books } = fleet();
    const { stdout, seconds } = await cli(["fleet"], books, store);
    expect(stdout).to.include("pod-a, which has not renewed while this looked");
    expect(seconds).to.equal(2);
  });

  it("looks once with --no-watch and claims nothing of life", async () => {
    const { store, books } = fleet();
    const { stdout, seconds } = await cli(["fleet", "--no-watch", "--output", "json"], books, store);
    const { leader, workers } = reportOf(stdout);
    expect([leader?.renews, workers.map((w) => w.renews), seconds]).to.deep.equal([null, [null, null], 0]);
  });

  it("names no leader where the lease was given up, whatever the last view says", async () => {
    const { store } = fleet();
    const books = modelBooks(store, () => ({ record: { holder: null, leaseMs: 8_000, changes: 2 }, version: "9" }));
    expect(tokens((await cli(["fleet"], books, store)).stdout)[1]).to.equal("Leader:|none");
  });

  it("takes the last view's word without a lease, while its worker is there", async () => {
    const { store, tick } = fleet();
    store.put("control", { _id: "fleet", owner: "engine", coordination: "single", schema: 1, incarnation: "i" });
    const books = modelBooks(store);
    const leader = async () => reportOf((await cli(["fleet", "--output", "json"], books, store, tick)).stdout).leader;
    expect(await leader()).to.deep.equal({ pod: "pod-a", session: "a", renews: true });
    store.published = aFleetView({ leader: "pod-a", sid: null });
    expect(await leader()).to.deep.equal({ pod: "pod-a", session: "a", renews: true });
    store.put("workers", aWorker("a", { state: "gone" }));
    expect(await leader()).to.equal(null);
  });

  it("believes no lease that an earlier life of the database with COORDINATION=mongo has left", async () => {
    const { store, books, tick } = fleet();
    store.put("control", { _id: "fleet", owner: "engine", coordination: "single", schema: 1, incarnation: "i" });
    store.published = aFleetView({ leader: "pod-b", sid: sid("b") });
    const { stdout } = await cli(["fleet", "--output", "json"], books, store, tick);
    expect(reportOf(stdout).leader).to.deep.equal({ pod: "pod-b", session: "b", renews: false });
  });

  it("tells asked, stopping and empty apart", async () => {
    const { store, books } = fleet();
    store.put("workers", aWorker("a", { drain: true }));
    store.put("workers", aWorker("b", { state: "draining" }));
    store.put("workers", aWorker("d", { state: "draining", drain: true }));
    const { stdout } = await cli(["fleet", "--no-watch"], books, store);
    expect(tokens(stdout).flatMap((line) => (line.startsWith("pod-") ? [line.split("|")[3]] : []))).to.deep.equal([
      "asked",
      "stopping",
      "empty",
    ]);
  });

  it("says what keeps the cluster from having more pods", async () => {
    const { store, books, tick } = fleet();
    const missing = { failure: "exceeded quota: pods", pending: [{ pods: 2, why: "0/2 nodes are available: Insufficient cpu" }] };
    await store.publishFleet({ ...aFleetView({ leader: "pod-a", sid: sid("a") }), missing });
    const text = await cli(["fleet"], books, store, tick, 80);
    expect(text.stdout).to.match(/Refused: +exceeded quota: pods\n/);
    expect(text.stdout).to.match(/Pending: +2 pod\(s\): 0\/2 nodes are available: Insufficient cpu/);
    const { stdout } = await cli(["fleet", "--output", "json"], books, store, tick, 80);
    expect(reportOf(stdout).missing).to.deep.equal(missing);
  });

  it("keeps lines within a terminal, and long lists short", async () => {
    const { store, books, tick } = fleet();
    store.put("workers", aWorker("d".repeat(36), { pod: "worker-".repeat(12), node: "node".repeat(10) }));
    for (let n = 10; n < 60; n++) store.put("placements", { _id: `bot-${n}`, segment: n, active: true, done: null });
    const { stdout } = await cli(["fleet"], books, store, tick, 80);
    expect(stdout.split("\n").filter((line) => line.length > 80)).to.deep.equal([]);
    expect(stdout).to.include("Waiting for a worker (52):").and.to.include("... and 32 more: --output json has all");
  });

  it("helps in an empty database, and where nobody is up, without waiting", async () => {
    const store = new ModelStore();
    const empty = await cli(["fleet"], modelBooks(store), store);
    expect([empty.code, tokens(empty.stdout), empty.seconds]).to.deep.equal([
      0,
      ["Fleet:|nobody holds this database", "Leader:|none", ""],
      0,
    ]);
    expect(empty.stderr).to.include("No worker has ever registered here: start one with `runtime serve`");
    store.put("workers", aWorker("a", { state: "gone" }));
    const left = await cli(["fleet"], modelBooks(store), store);
    expect(left.stderr).to.include("No worker is up").and.to.include("--all shows the 1 that have ended");
  });
});

describe("runtime drain", () => {
  /** b hears of the request, gives 2 away after 3 s and 1 after 6 s. */
  const obeys: Tick = async (store, second) => {
    if (second === 1) await store.apply(stepDown(sid("b"), 1, "draining"));
    if (second === 3) await store.apply(releaseSegment(segment(2), epoch(100)));
    if (second === 6) await store.apply(releaseSegment(segment(1), epoch(100)));
  };

  it("asks, says what follows, and asks again without harm", async () => {
    const { store, books } = fleet();
    const first = await cli(["drain", "pod-b"], books, store);
    expect(first).to.include({
      code: 0,
      stdout: '"pod-b" drains: 2 segments to release\nIt stays up without bots until it is stopped; a restart ends the drain\n',
      stderr: "",
    });
    const record = store.get("workers", "b");
    expect(record).to.include({ drain: true, state: "up", hbSeq: 9 });
    expect((await cli(["drain", "b"], books, store)).stdout).to.include('"pod-b" drains already: 2 segments');
    expect(store.get("workers", "b")).to.deep.equal(record);
    expect(books.closed).to.equal(2);
  });

  it("waits until all is released, with progress", async () => {
    const { store, books } = fleet();
    const { code, stdout } = await cli(["drain", "pod-b", "--wait"], books, store, obeys);
    expect(code).to.equal(0);
    expect(stdout.split("\n")).to.deep.equal([
      '"pod-b" drains: 2 segments to release',
      '"pod-b" has 2 segments left',
      '"pod-b" has 1 segment left',
      '"pod-b" has released all its segments',
      "It stays up without bots until it is stopped; a restart ends the drain",
      "",
    ]);
  });

  it("prints JSON once", async () => {
    const { store, books } = fleet();
    const json = async (...args: string[]): Promise<unknown> =>
      JSON.parse((await cli(["drain", "pod-b", "--output", "json", ...args], books, store, obeys)).stdout);
    expect(await json()).to.deep.equal({ pod: "pod-b", session: "b", result: "draining", segmentsLeft: 2 });
    expect(await json("--wait", "30")).to.deep.equal({ pod: "pod-b", session: "b", result: "drained", segmentsLeft: 0 });
  });

  it("does not call a worker empty that owns nothing and has not heard yet", async () => {
    const { store, books } = fleet();
    const { code, stderr } = await cli(["drain", "pod-a", "--wait", "5"], books, store);
    expect([code, stderr]).to.deep.equal([1, 'Cannot say that "pod-a" is empty: after 5 s it has not heard of it; it goes on draining\n']);
  });

  const fails: readonly { why: string; tick: Tick; says: string }[] = [
    { why: "in time", tick: (s, n) => n === 1 && s.apply(stepDown(sid("b"), 1, "draining")), says: "after 9 s it has 2 segments left" },
    { why: "as it was restarted", tick: (s, n) => n === 2 && s.apply(continueSession(sid("b"), 1)), says: "it was restarted meanwhile" },
    { why: "as it died", tick: (s, n) => n === 2 && s.apply(endSession(sid("b"), 9)), says: "was ended as dead" },
  ];
  for (const { why, tick, says } of fails)
    it(`fails when it is not empty: ${why}`, async () => {
      const { store, books } = fleet();
      const { code, stderr } = await cli(["drain", "pod-b", "--wait", "9"], books, store, tick);
      expect(code).to.equal(1);
      expect(stderr).to.include(`Cannot say that "pod-b" is empty: `).and.to.include(says);
      expect(books.closed).to.equal(1);
    });

  it("is content with a worker that has left", async () => {
    const { store, books } = fleet();
    const leaves: Tick = async (s, second) => {
      await obeys(s, second);
      if (second === 6) await s.apply(stepDown(sid("b"), 1, "gone"));
    };
    const { code, stdout } = await cli(["drain", "pod-b", "--wait"], books, store, leaves);
    expect([code, stdout.split("\n").at(-2)]).to.deep.equal([0, "It has left"]);
  });

  it("warns that what the last worker gives up runs nowhere", async () => {
    const { store, books } = fleet();
    store.put("workers", aWorker("a", { drain: true }));
    expect((await cli(["drain", "pod-b"], books, store)).stderr).to.include('warning: no other worker is up: what "pod-b" gives up');
  });

  const names: readonly { why: string; name: string; says: string }[] = [
    { why: "unknown", name: "pod-x", says: 'Cannot find the worker "pod-x": runtime fleet shows who is there' },
    { why: "a pod that died", name: "pod-c", says: 'Cannot drain the worker "pod-c": its session has ended (dead)' },
    { why: "a session that died", name: "c", says: 'Cannot drain the worker "c": its session has ended (dead)' },
    { why: "of two pods", name: "twin", says: "several sessions bear that pod name: t1, t2. Name the session" },
  ];
  for (const { why, name, says } of names)
    it(`refuses a name and writes nothing: ${why}`, async () => {
      const { store, books } = fleet();
      for (const id of ["t1", "t2"]) store.put("workers", aWorker(id, { pod: "twin" }));
      const { code, stderr } = await cli(["drain", name], books, store);
      expect([code, stderr.includes(says)]).to.deep.equal([66, true]);
      expect(store.applied).to.deep.equal([]);
    });

  it("takes a pod's living session and not its dead one", async () => {
    const { store, books } = fleet();
    store.put("workers", aWorker("c/2", { pod: "pod-c" }));
    expect((await cli(["drain", "pod-c"], books, store)).code).to.equal(0);
    expect(store.get("workers", "c/2")).to.include({ drain: true });
  });
});
