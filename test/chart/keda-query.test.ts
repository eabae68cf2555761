// What KEDA gets from a Prometheus for the chart's query, asked of Prometheus' own engine.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect } from "chai";
import { stringify } from "yaml";

import { openCache } from "../../scripts/lib/cache.ts";
import { run } from "../../scripts/lib/command.ts";
import { ensurePromtool } from "../../scripts/lib/promtool.ts";
import { helm3, render } from "../support/chart.ts";

type Ask = { readonly atSeconds: number; readonly gives: number | undefined };

// Prometheus 2 counts a sample at the far end of a window, 3 does not: nothing here is asked at such a moment.
const SCRAPE_SECONDS = 30;
const pod = (name: string, namespace = "runtime") => `botrunner_replicas_desired{namespace="${namespace}",pod="${name}"}`;
const [old, next] = [pod("runtime-5d9f7c6b48-aaaaa"), pod("runtime-5d9f7c6b48-bbbbb")];

function queryOf(hpaTolerance: boolean): string {
  const scaling = { mode: "keda", keda: { serverAddress: "http://prometheus", scrapeIntervalSeconds: SCRAPE_SECONDS, hpaTolerance } };
  return render(helm3, { scaling }).one("ScaledObject")["spec"].triggers[0].metadata.query as string;
}

describe("the query for KEDA", function () {
  this.timeout(120_000);
  let promtool: string;
  let dir: string;
  before(async () => (promtool = await ensurePromtool(await openCache(process.env), () => {})));
  beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), "query-"))));
  afterEach(() => rmSync(dir, { recursive: true }));

  /** `series`: one value a scrape, `_` for none, `stale` where the target went. @throws {Error} with what promtool found instead */
  async function ask(expr: string, series: Readonly<Record<string, string>>, asks: readonly Ask[]): Promise<void> {
    const file = join(dir, "test.yaml");
    const test = {
      interval: `${SCRAPE_SECONDS}s`,
      input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
      promql_expr_test: asks.map(({ atSeconds, gives }) => ({
        expr,
        eval_time: `${atSeconds}s`,
        exp_samples: gives === undefined ? [] : [{ labels: "{}", value: gives }],
      })),
    };
    writeFileSync(file, stringify({ rule_files: [], evaluation_interval: "1s", tests: [test] }));
    await run(promtool, ["test", "rules", file], { timeoutMs: 30_000 });
  }

  it("gives the leader's number at once when it rises, and two scrapes after it fell", async () => {
    await ask(queryOf(true), { [old]: "3 11 11 5 5 5" }, [
      { atSeconds: 29, gives: 3 },
      { atSeconds: 30, gives: 11 },
      { atSeconds: 119, gives: 11 },
      { atSeconds: 121, gives: 5 },
    ]);
  });

  it("never adds up a leader and its predecessor", async () => {
    await ask(queryOf(true), { [old]: "6 6 6 6", [next]: "_ 7 7 7" }, [{ atSeconds: 60, gives: 7 }]);
  });

  it("goes on with the last number of a leader that is gone, for two scrapes, and then knows none", async () => {
    await ask(queryOf(true), { [old]: "6 6 stale", [next]: "_ _ _ _ _ _ 4" }, [
      { atSeconds: 89, gives: 6 },
      { atSeconds: 91, gives: undefined },
      { atSeconds: 180, gives: 4 },
    ]);
  });

  it("takes one failed scrape for nothing", async () => {
    await ask(queryOf(true), { [old]: "6 6 stale 6" }, [{ atSeconds: 75, gives: 6 }]);
  });

  it("hears of no other release and no other namespace", async () => {
    const others = { [pod("runtime-5d9f7c6b48-aaaaa", "other")]: "40 40", [pod("blue-runtime-5d9f7c6b48-aaaaa")]: "40 40" };
    await ask(queryOf(true), { ...others, [old]: "3 3" }, [{ atSeconds: 30, gives: 3 }]);
    await ask(queryOf(true), others, [{ atSeconds: 30, gives: undefined }]);
  });

  it("asks for a tenth more where an HPA's tolerance cannot be said, rounded up", async () => {
    await ask(queryOf(false), { [old]: "3 10 40 _ _ _" }, [
      { atSeconds: 0, gives: 4 },
      { atSeconds: 30, gives: 11 },
      { atSeconds: 60, gives: 44 },
      { atSeconds: 300, gives: undefined },
    ]);
  });

  it("is asked of an engine that says no", async () => {
    const wrong = await ask(queryOf(true), { [old]: "3" }, [{ atSeconds: 0, gives: 4 }]).catch((error: Error) => error.message);
    expect(wrong).to.match(/exp:/);
  });
});
