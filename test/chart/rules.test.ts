import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect } from "chai";

import { openCache } from "../../scripts/lib/cache.ts";
import { run } from "../../scripts/lib/command.ts";
import { withSelector } from "../../scripts/lib/dashboard.ts";
import { DASHBOARD_ROWS } from "../../scripts/lib/dashboard-rows.ts";
import { ensurePromtool } from "../../scripts/lib/promtool.ts";
import { type AlertCase, ALERT_CASES, type Series } from "../support/alert-cases.ts";
import { ALERTS, RECORDS, rulesFor } from "../support/rules.ts";

const OURS = { namespace: "bots", service: "runtime-service" };
const matchers = Object.entries(OURS)
  .map(([name, value]) => `${name}="${value}"`)
  .join(",");

describe("the rules, as Prometheus reads them", function () {
  this.timeout(60_000);
  let promtool: string;
  let dir: string;
  before(async () => {
    promtool = await ensurePromtool(await openCache(process.env), () => {});
    dir = await mkdtemp(join(tmpdir(), "rules-"));
    await writeFile(join(dir, "rules.yaml"), rulesFor(matchers));
  });
  after(() => rm(dir, { recursive: true }));

  it("are valid", async () => {
    const said = await run(promtool, ["check", "rules", "--lint-fatal", join(dir, "rules.yaml")]);
    expect(said).to.include(`${ALERTS.length + RECORDS.length} rules found`);
  });

  it("and so are the dashboard's queries", async () => {
    const exprs = DASHBOARD_ROWS.flatMap(({ panels }) => panels.flatMap(({ queries }) => queries.map(({ expr }) => expr)));
    const rules = exprs.map((expr, i) => ({
      record: `query${i}`,
      expr: withSelector(expr, matchers).replaceAll("$__rate_interval", "1m"),
    }));
    await writeFile(join(dir, "queries.json"), JSON.stringify({ groups: [{ name: "dashboard", rules }] }));
    const said = await run(promtool, ["check", "rules", "--lint-fatal", join(dir, "queries.json")]);
    expect(said).to.include(`${exprs.length} rules found`);
  });

  /** Prometheus' own simulation: a sample of each series every 15 s, a look at the rules every 10 s. */
  async function expectAlerts(alertname: string, series: Series, at: string, wanted: object[], labels = matchers): Promise<void> {
    const input_series = Object.entries(series).map(([name, values]) => ({
      series: name.replace("{", `{${labels},`).replace(",}", "}"),
      values,
    }));
    const test = {
      interval: "15s",
      input_series,
      alert_rule_test: [{ eval_time: at, alertname, exp_alerts: wanted }],
    };
    await writeFile(join(dir, "test.json"), JSON.stringify({ rule_files: ["rules.yaml"], evaluation_interval: "10s", tests: [test] }));
    await run(promtool, ["test", "rules", join(dir, "test.json")]);
  }

  /** The alert with its words filled in: what people read. */
  function firing({ alert, labels = {}, value = "" }: AlertCase): object {
    const rule = ALERTS.find((one) => one.alert === alert);
    const all: Record<string, string> = { ...OURS, ...labels };
    const words = Object.entries(rule?.annotations ?? {}).map(([name, text]) => [
      name,
      text
        .replaceAll(/\{\{ \$value[^}]*\}\}/g, value)
        .replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, (_, label: string) => all[label] ?? `no ${label}`),
    ]);
    return { exp_labels: { ...all, ...rule?.labels }, exp_annotations: Object.fromEntries(words) as object };
  }

  it("are tried one and all", () => {
    expect(ALERT_CASES.map(({ alert }) => alert).toSorted()).to.deep.equal(ALERTS.map(({ alert }) => alert).toSorted());
  });

  for (const one of ALERT_CASES) {
    const { alert, fires, silent } = one;
    describe(alert, () => {
      it(`fires: ${fires.why}`, () => expectAlerts(alert, fires.series, fires.at, [firing(one)]));

      for (const { why, series, at } of silent) it(`is silent: ${why}`, () => expectAlerts(alert, series, at, []));

      // Nobody leads a release that has no series: that one is ours, though it is told by what others have.
      if (alert !== "BotRunnerNoLeader")
        it("is silent: it is another release's trouble", () =>
          expectAlerts(alert, fires.series, fires.at, [], matchers.replace("runtime-service", "blue-runtime-service")));
    });
  }
});
