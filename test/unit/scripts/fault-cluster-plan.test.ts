import { expect } from "chai";

import { KUBERNETES_TIMINGS } from "../../../src/core/timings.ts";
import { boundsOf } from "../../../scripts/faults/bounds.ts";
import { chooseOnNodes, planShortCluster } from "../../../scripts/faults/cluster/plan.ts";
import { clusterRows } from "../../../scripts/faults/cluster/rows.ts";
import type { Pod } from "../../../scripts/lib/cluster/pods.ts";

const pod = (name: string, node: string): Pod => ({
  name,
  uid: name,
  node,
  isReady: true,
  isTerminating: false,
  phase: "Running",
  createdAt: 0,
  restarts: 0,
  containers: [],
});
type Wanted = Parameters<typeof chooseOnNodes>[0][number];
const moving = (victim: Wanted["victim"]): Wanted => ({ victim, restartsNone: false });
const quiet = (victim: Wanted["victim"]): Wanted => ({ victim, restartsNone: true });

describe("chooseOnNodes()", () => {
  const leader = pod("l", "n1");
  const owners = [pod("a", "n1"), pod("b", "n2"), pod("c", "n2"), pod("d", "n3")];
  const choose = (...rows: Wanted[]) => chooseOnNodes(rows, { owners, leader })?.map(({ name }) => name);

  const cases: { why: string; rows: Wanted[]; gives: string[] | undefined }[] = [
    { why: "a worker", rows: [moving("owner")], gives: ["a"] },
    { why: "another worker for each row", rows: [moving("owner"), moving("owner")], gives: ["a", "b"] },
    { why: "the leader, and beside it a worker", rows: [quiet("leader"), quiet("owner")], gives: ["l", "a"] },
    { why: "the leader where it happens to all", rows: [quiet("any")], gives: ["l"] },
    { why: "a node on which nobody leads", rows: [moving("node")], gives: ["b"] },
    { why: "a node each", rows: [moving("node"), moving("node")], gives: ["b", "d"] },
    { why: "no worker of a node that is struck, whichever comes first", rows: [moving("owner"), moving("node")], gives: ["a", "b"] },
    { why: "nobody where too few nodes are left", rows: [quiet("node"), quiet("node"), quiet("node")], gives: undefined },
    { why: "nobody where none would be left to take over", rows: [...Array(4)].map(() => moving("owner")), gives: undefined },
    { why: "all of them where nobody has to take over", rows: [...Array(4)].map(() => quiet("owner")), gives: ["a", "b", "c", "d"] },
  ];
  for (const { why, rows, gives } of cases) it(`gives ${why}`, () => expect(choose(...rows)).to.deep.equal(gives));
});

describe("planShortCluster()", () => {
  const numbers = (seed: number) => planShortCluster(clusterRows, seed).map((batch) => batch.map(({ number }) => number));

  it("plays what only the second channel can show with each seed", () => {
    for (let seed = 0; seed < 6; seed++) expect(numbers(seed).flat()).to.include.members(["4", "6", "7", "8", "18"]);
  });

  it("plays nothing that moves bots beside what must move none", () => {
    for (let seed = 0; seed < 6; seed++)
      for (const batch of planShortCluster(clusterRows, seed))
        expect(new Set(batch.map(({ restartsNone }) => restartsNone)).size).to.equal(1);
  });
});

describe("the rows in a cluster", () => {
  it("have the protocol's bound of a lost pod, and twice of it for slow machines", () => {
    const bound = (profile: "default" | "ci") =>
      clusterRows.find(({ number }) => number === "2")?.boundMs(boundsOf(profile, KUBERNETES_TIMINGS), 1);
    expect([bound("default"), bound("ci")]).to.deep.equal([12_400, 24_800]);
  });

  it("are all of the protocol's table but 17, whose clocks only a simulation can bend", () => {
    const numbers = [...Array(23).keys()].map((n) => String(n + 1)).filter((number) => number !== "17");
    expect(clusterRows.map(({ number }) => number)).to.include.members(numbers);
  });

  it("let nothing run twice but after a thaw", () => {
    expect(clusterRows.filter(({ thawMs }) => thawMs !== undefined).map(({ number }) => number)).to.deep.equal(["5b"]);
  });
});
