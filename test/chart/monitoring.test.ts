// Prometheus and Grafana: off by themselves, switched on by values alone, never by what a cluster happens to have.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { expect } from "chai";
import { parse } from "yaml";

import { chartDir, helms, render, type Thing, type Values, withChart } from "../support/chart.ts";
import { rulesFor } from "../support/rules.ts";

const on = (key: string, more: Values = {}): Values => ({ monitoring: { [key]: { enabled: true, ...more } } });

/** In all of YAML's quotes, and with what a template would fall for. */
const RULES = `groups:
  - name: plain
    rules:
      - alert: A
        expr: up{%SELECTOR%} == 0
        annotations: { summary: "{{ $labels.pod }} <&>" }
      - { alert: B, expr: 'up{%SELECTOR%, pod=~"a"} == 0' }
      - { alert: C, expr: "up{pod=~\\"a\\", %SELECTOR%} == 0" }
      - record: d
        expr: |
          sum(up{%SELECTOR%})
            > 0.5
`;

const withFile = <T>(path: string, text: string, use: (chart: string) => T): T =>
  withChart((dir) => {
    mkdirSync(join(dir, path, ".."), { recursive: true });
    writeFileSync(join(dir, path), text);
  }, use);

for (const helm of helms)
  describe(`chart monitoring by ${helm.name}`, () => {
    it("is off unless somebody asks for it", () => {
      const kinds = render(helm).all.map(({ kind }) => kind);
      expect(kinds).not.to.include.oneOf(["ServiceMonitor", "PrometheusRule"]);
      expect(() => render(helm).one("ConfigMap", "runtime-dashboards")).to.throw();
    });

    it("scrapes the pods behind the release's Service, in its namespace alone", () => {
      const { one } = render(
        helm,
        on("serviceMonitor", { interval: "20s", labels: { release: "stack", "app.kubernetes.io/version": "x" } }),
      );
      const { metadata, spec } = one("ServiceMonitor");
      expect(metadata.namespace).to.equal("runtime");
      expect(metadata.labels).to.include({ release: "stack", "app.kubernetes.io/name": "runtime", "app.kubernetes.io/version": "x" });
      expect(spec.namespaceSelector).to.deep.equal({ matchNames: ["runtime"] });
      expect(spec.endpoints).to.deep.equal([{ port: "http", path: "/metrics", interval: "20s" }]);
      // Selects the Service, by its labels and by the name of its port.
      expect(one("Service").metadata.labels).to.include(spec.selector.matchLabels);
      expect(one("Service")["spec"].ports.map(({ name }: { name: string }) => name)).to.include("http");
    });

    it("hands the rules on with the matchers of this release, whatever their quotes are", () => {
      withFile("files/rules.yaml", RULES, (chart) => {
        const { metadata, spec } = render(helm, on("prometheusRule", { labels: { release: "stack" } }), { chart }).one("PrometheusRule");
        expect(metadata.labels).to.include({ release: "stack" });
        const mine = 'namespace="runtime",service="runtime-service"';
        expect(spec.groups).to.deep.equal([
          {
            name: "plain",
            rules: [
              { alert: "A", expr: `up{${mine}} == 0`, annotations: { summary: "{{ $labels.pod }} <&>" } },
              { alert: "B", expr: `up{${mine}, pod=~"a"} == 0` },
              { alert: "C", expr: `up{pod=~"a", ${mine}} == 0` },
              { record: "d", expr: `sum(up{${mine}})\n  > 0.5\n` },
            ],
          },
        ]);
        const other = render(helm, on("prometheusRule"), { chart, release: "blue" }).text("PrometheusRule");
        expect(other).to.include('service="blue-runtime-service"').and.not.to.include("%SELECTOR%");
      });
    });

    it("hands on the rules that promtool has tried, and the dashboard", () => {
      const rule = render(helm, on("prometheusRule")).one("PrometheusRule");
      expect(rule["spec"]).to.deep.equal(parse(rulesFor('namespace="runtime",service="runtime-service"')));
      const { data } = render(helm, on("dashboards")).one("ConfigMap", "runtime-dashboards") as Thing & { data: Record<string, string> };
      expect(Object.keys(data)).to.deep.equal(["bot-runner.json"]);
      expect(data["bot-runner.json"]).to.equal(readFileSync(join(chartDir, "files/dashboards/bot-runner.json"), "utf8"));
    });

    it("hands each dashboard on byte for byte, under the label that Grafana looks for", () => {
      const json = '{ "title": "{{ pod }}", "templating": ["$namespace"] }\n';
      withFile("files/dashboards/fleet.json", json, (chart) => {
        const annotations = { grafana_folder: "Bots" };
        const found = render(helm, on("dashboards", { annotations }), { chart }).one("ConfigMap", "runtime-dashboards");
        expect(found["data"]).to.have.property("fleet.json", json);
        expect(found.metadata.labels).to.include({ grafana_dashboard: "1" });
        expect(found.metadata).to.deep.include({ annotations });
      });
    });
  });
