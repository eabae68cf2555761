import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { expect } from "chai";
import { parseAllDocuments } from "yaml";

import { chartDir, helms, type Thing } from "../support/chart.ts";

const root = join(chartDir, "..");
const pages = ["README.md", ...readdirSync(join(root, "docs")).map((name) => `docs/${name}`)].filter((path) => path.endsWith(".md"));

type Command = { readonly page: string; readonly verb: "install" | "upgrade"; readonly flags: readonly string[] };

/** The `helm install` and `helm upgrade` of our own chart in a page's blocks of shell, each as one line. */
function commandsOf(page: string): Command[] {
  const text = readFileSync(join(root, page), "utf8").replaceAll(/\s*\\\n\s*/g, " ");
  return [...text.matchAll(/^ *helm (install|upgrade) \S+ \.\/chart (.*?)(?: +#.*)?$/gm)].map(([, verb, rest = ""]) => ({
    page,
    verb: verb as Command["verb"],
    flags: rest.replaceAll("YOUR_REGISTRY", "registry.example").split(/ +/),
  }));
}

/** What an upgrade finds: the values of the README's installation. */
const installed = ["-f", "values.example.yaml", "--set", "mongodb.uri=mongodb://mongo:27017"];
const commands = pages.flatMap(commandsOf).filter(({ flags }) => !flags.some((flag) => /^team-.*yaml$/.test(flag)));

/** What the chart makes of a command's values, by `helm template`, which knows no upgrade. */
function render(helm: string, { verb, flags }: Command): readonly Thing[] {
  const own = flags.filter((flag) => flag !== "--reset-then-reuse-values" && flag !== "--create-namespace");
  const args = ["template", "runtime", chartDir, "--kube-version", "1.29.0", ...(verb === "upgrade" ? installed : []), ...own];
  const { status, stdout, stderr } = spawnSync(helm, args, { cwd: root, encoding: "utf8", timeout: 30_000 });
  if (status !== 0) throw new Error(stderr);
  return parseAllDocuments(stdout)
    .map((document) => document.toJS() as Thing | null)
    .filter((thing) => thing !== null);
}

const find = (things: readonly Thing[], kind: string) => things.find((thing) => thing.kind === kind);

describe("helm commands in the docs", () => {
  it("are found", () => {
    expect(commands.filter(({ page, verb }) => page === "README.md" && verb === "install")).to.have.lengthOf.at.least(2);
    expect(commands.filter(({ page, verb }) => page === "README.md" && verb === "upgrade")).to.have.lengthOf(2);
  });

  for (const command of commands) {
    const title = `helm ${command.verb} ${command.flags.join(" ")} of ${command.page}`;
    for (const { name, path } of helms) it(`${title} by ${name}`, () => expect(render(path, command)).not.to.have.lengthOf(0));
    if (command.verb === "upgrade")
      it(`${title} forgets no value`, () => expect(command.flags).to.include.members(["--reset-then-reuse-values"]));
  }

  const [helm] = helms;
  const [install, watch, bounds] = commands.filter(({ page }) => page === "README.md");
  it("of the README install the image that was pushed", () => {
    const deployment = find(render(helm.path, install as Command), "Deployment");
    expect(deployment?.["spec"].template.spec.containers[0].image).to.equal("registry.example/runtime:0.1.0");
  });
  it("of the README bring dashboard, scraping and alerts, and restart no pod", () => {
    const things = render(helm.path, watch as Command);
    const { labels } = find(things, "ServiceMonitor")?.metadata ?? {};
    expect(labels).to.include({ release: "kube-prometheus-stack" });
    expect(find(things, "PrometheusRule")?.metadata.labels).to.include({ release: "kube-prometheus-stack" });
    expect(things.map((thing) => thing.metadata.name)).to.include("runtime-dashboards");
    expect(find(things, "Deployment")).to.deep.equal(
      find(render(helm.path, { ...(watch as Command), flags: ["-n", "runtime"] }), "Deployment"),
    );
  });
  it("of the README change the bounds, and restart no pod", () => {
    const things = render(helm.path, bounds as Command);
    const scaling = things.find((thing) => thing.metadata.name === "runtime-scaling");
    expect(scaling?.["data"]).to.include({ MIN_REPLICAS: "5", MAX_REPLICAS: "60" });
    expect(find(things, "Deployment")).to.deep.equal(
      find(render(helm.path, { ...(bounds as Command), flags: ["-n", "runtime"] }), "Deployment"),
    );
  });
});
