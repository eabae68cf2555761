import { readFileSync } from "node:fs";
import { expect } from "chai";
import { DASHBOARD_SELECTOR, dashboard } from "../../../scripts/lib/dashboard.ts";
import { DASHBOARD_ROWS } from "../../../scripts/lib/dashboard-rows.ts";
import { ALERTS, exportedNames, metricsIn, RECORDS, RULES_TEXT } from "../../support/rules.ts";

type Shown = {
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string }[];
};

const runbooks = readFileSync(new URL("../../../docs/runbooks.md", import.meta.url), "utf8");
const monitoring = readFileSync(new URL("../../../docs/monitoring.md", import.meta.url), "utf8");
const sections = new Map(
  runbooks
    .split(/^## /m)
    .slice(1)
    .map((text) => [text.split("\n")[0] ?? "", text] as const),
);
const { panels } = dashboard(DASHBOARD_ROWS) as { panels: Shown[] };
const queries = panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ what: `panel "${title}"`, expr })));
const rules = [...RECORDS, ...ALERTS].map(({ record, alert, expr }) => ({ what: alert ?? record ?? "", expr }));
const matchersIn = (expr: string) => [...expr.matchAll(/\{([^}]*)\}/g)].map(([, matchers = ""]) => matchers);

describe("chart/files/rules.yaml", () => {
  it("has each alert once, and the chart's token in no other form", () => {
    expect(new Set(ALERTS.map(({ alert }) => alert)).size).to.equal(ALERTS.length);
    expect(RULES_TEXT.match(/%\w*%/g)?.filter((token) => token !== "%SELECTOR%")).to.deep.equal([]);
  });

  for (const { what, expr } of rules)
    it(`asks for this release alone: ${what}`, () => {
      expect(matchersIn(expr)).to.satisfy((all: string[]) => all.length > 0 && all.every((m) => /^%SELECTOR%(, |$)/.test(m)));
    });

  it("records nothing that no alert asks for", () => {
    const asked = new Set(ALERTS.flatMap(({ expr }) => metricsIn(expr)));
    expect(RECORDS.map(({ record }) => record).filter((name) => !asked.has(name))).to.deep.equal([]);
  });

  for (const { alert, labels, annotations } of ALERTS)
    it(`says of ${alert} how bad it is, what it is and where to read on`, () => {
      expect(["critical", "warning", "info"]).to.include(labels?.severity);
      expect(annotations).to.have.all.keys("summary", "description", "runbook");
      expect(annotations?.runbook).to.equal(`docs/runbooks.md#${alert.toLowerCase()}`);
    });
});

describe("docs/runbooks.md", () => {
  it("has a section for each alert and no others", () => {
    expect([...sections.keys()].toSorted()).to.deep.equal(ALERTS.map(({ alert }) => alert).toSorted());
  });

  for (const [alert, text] of sections)
    it(`says of ${alert} what it means for bots, how to see it, what to do and when to ignore it`, () => {
      expect([...text.matchAll(/^\*\*(For the bots|See it|Do|Ignore it)\b/gm)].map(([, part]) => part)).to.deep.equal([
        "For the bots",
        "See it",
        "Do",
        "Ignore it",
      ]);
    });

  it("links to sections that there are", () => {
    const names = new Set([...sections.keys()].map((name) => name.toLowerCase()));
    const links = [...runbooks.matchAll(/\]\(#([^)]*)\)/g)].map(([, anchor = ""]) => anchor);
    expect(links.filter((anchor) => !names.has(anchor))).to.deep.equal([]);
  });
});

describe("docs/monitoring.md", () => {
  it("is held against every metric that the source has, those of a leader or a cluster too", async () => {
    const source = readFileSync(new URL("../../../src/telemetry/metrics.ts", import.meta.url), "utf8");
    const names = [...source.matchAll(/"(botrunner_\w+)"/g)].map(([, name = ""]) => name);
    const exported = await exportedNames();
    expect(names.filter((name) => !exported.has(name) && !exported.has(`${name}_count`))).to.deep.equal([]);
  });

  it("names every metric of the product's own, and no others", async () => {
    const names = [...(await exportedNames())].filter((name) => name.startsWith("botrunner_") && !/_(bucket|sum)$/.test(name));
    const named = new Set([...monitoring.matchAll(/`(botrunner_\w+)(?:\{\w+\})?`/g)].map(([, name]) => name));
    expect(new Set(names.map((name) => name.replace(/_count$/, "")))).to.deep.equal(named);
  });
});

describe("chart/files/dashboards/bot-runner.json", () => {
  for (const { what, expr } of queries)
    it(`asks for the chosen release alone: ${what}`, () => {
      expect(matchersIn(expr)).to.satisfy((all: string[]) => all.length > 0 && all.every((m) => m.startsWith(DASHBOARD_SELECTOR)));
    });

  it("has a place for each panel", () => {
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    );
    expect(new Set(cells).size).to.equal(cells.length);
    expect(panels.every(({ gridPos: { x, w } }) => x + w <= 24)).to.equal(true);
  });
});

describe("rules and dashboard", () => {
  const recorded = new Set(RECORDS.map(({ record }) => record));
  let exported: Set<string>;
  before(async () => {
    exported = await exportedNames();
  });

  for (const { what, expr } of [...rules, ...queries])
    it(`ask for what the product exports, counters by their rise: ${what}`, () => {
      const names = metricsIn(expr);
      expect(names.filter((name) => !exported.has(name) && !recorded.has(name))).to.deep.equal([]);
      // A name without braces would be of all releases.
      expect(expr.match(/\bbotrunner_\w+(?![\w{:])/g) ?? []).to.deep.equal([]);
      const counters = [...expr.matchAll(/(\w+\()?\b\w+_(?:total|bucket)\{/g)].map(([, around]) => around);
      expect(counters.filter((around) => around !== "rate(" && around !== "increase(")).to.deep.equal([]);
    });
});
