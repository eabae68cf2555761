// chart/files/dashboards/bot-runner.json is made from this: `npm run docs` writes it, a test fails when it drifts. By hand a panel
// is sixty lines of JSON that nobody reads.

/** One question to Prometheus. `S` is where the release's matchers go. */
type Query = { readonly expr: string; readonly legend: string };

type Panel = {
  readonly title: string;
  /** What one sees, and what should make one wonder. */
  readonly about: string;
  /** @default "time" */
  readonly as?: "number" | "time";
  /** Grafana's name of the unit. @default "short" */
  readonly unit?: string;
  readonly queries: readonly Query[];
};

export type Row = { readonly title: string; readonly panels: readonly Panel[] };

/** The release's own series: what the ServiceMonitor of the chart makes of namespace and release. */
export const DASHBOARD_SELECTOR = 'namespace="$namespace", service="$release-service"';

const WIDTH = 24;
const SIZES = { number: { w: 4, h: 4 }, time: { w: 8, h: 8 } } as const;
const datasource = { type: "prometheus", uid: "${datasource}" } as const;

/** @param rows of panels whose queries say `S` where the matchers go */
export function dashboard(rows: readonly Row[]): object {
  const panels: object[] = [];
  let [y, id] = [0, 1];
  for (const { title, panels: inRow } of rows) {
    panels.push({ id: id++, type: "row", title, collapsed: false, gridPos: { x: 0, y: y++, w: WIDTH, h: 1 }, panels: [] });
    let [x, high] = [0, 0];
    for (const panel of inRow) {
      const { w, h } = SIZES[panel.as ?? "time"];
      if (x + w > WIDTH) [x, y, high] = [0, y + high, 0];
      panels.push({ id: id++, ...shown(panel), gridPos: { x, y, w, h } });
      [x, high] = [x + w, Math.max(high, h)];
    }
    y += high;
  }
  return {
    uid: "bot-runner",
    title: "Bot Runner",
    description: "One fleet: its leader's figures, its workers and its bots. Alerts and what to do: docs/runbooks.md.",
    tags: ["bot-runner"],
    schemaVersion: 39,
    version: 1,
    editable: true,
    refresh: "30s",
    time: { from: "now-3h", to: "now" },
    templating: { list: variables() },
    panels,
  };
}

/** The query as Prometheus is asked it. */
export function withSelector(expr: string, selector: string): string {
  return expr.replaceAll(/\{S\b/g, () => `{${selector}`);
}

function shown({ title, about, as = "time", unit = "short", queries }: Panel): object {
  const targets = queries.map(({ expr, legend }, i) => ({
    refId: String.fromCharCode("A".charCodeAt(0) + i),
    datasource,
    expr: withSelector(expr, DASHBOARD_SELECTOR),
    legendFormat: legend,
  }));
  const common = { title, description: about, datasource, targets };
  const defaults = { unit, min: 0 };
  if (as === "number")
    return { type: "stat", ...common, fieldConfig: { defaults, overrides: [] }, options: { reduceOptions: { calcs: ["lastNotNull"] } } };
  return {
    type: "timeseries",
    ...common,
    fieldConfig: { defaults: { ...defaults, custom: { fillOpacity: 10, showPoints: "never" } }, overrides: [] },
    options: { legend: { displayMode: "list", placement: "bottom" }, tooltip: { mode: "multi", sort: "desc" } },
  };
}

function variables(): object[] {
  const ask = (name: string, label: string, query: string) => ({
    type: "query",
    name,
    label,
    datasource,
    query: { query, refId: name },
    definition: query,
    refresh: 2,
    sort: 1,
  });
  return [
    { type: "datasource", name: "datasource", label: "Data source", query: "prometheus" },
    ask("namespace", "Namespace", "label_values(botrunner_build_info, namespace)"),
    // The Service is called after the release: what stands before "-service" is shown.
    { ...ask("release", "Release", 'label_values(botrunner_build_info{namespace="$namespace"}, service)'), regex: "/(.*)-service/" },
  ];
}
