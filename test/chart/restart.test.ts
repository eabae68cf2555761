// A change of the pod template replaces every pod, and moves every bot with it: what may do that, and what must not.
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { expect } from "chai";

import { chartDir, helm3, helms, render, type Rendered, withChart } from "../support/chart.ts";

const templateOf = ({ one }: Rendered) => one("Deployment")["spec"].template;
/** With its comments: byte for byte. */
const templateTextOf = ({ text }: Rendered) =>
  text("Deployment")
    .trimEnd()
    .split(/^  template:$/m)[1] ?? "";
const annotationsOf = (rendered: Rendered) => templateOf(rendered).metadata.annotations as Record<string, string>;

function replaceIn(path: string, what: string, by: string): void {
  const text = readFileSync(path, "utf8");
  expect(text).to.include(what);
  writeFileSync(path, text.replace(what, by));
}

for (const helm of helms)
  describe(`chart restarts by ${helm.name}`, () => {
    it("no pod for another version of the chart with the same program", () => {
      withChart(
        (dir) => replaceIn(join(dir, "Chart.yaml"), "version: 0.1.0", "version: 0.2.0"),
        (chart) => {
          const [before, after] = [render(helm), render(helm, {}, { chart })];
          expect(after.one("Deployment").metadata.labels?.["helm.sh/chart"]).to.equal("runtime-0.2.0");
          expect(templateTextOf(after)).to.include("containers:").and.to.equal(templateTextOf(before));
          // It cannot be changed, so an upgrade with another one would fail.
          expect(after.one("Deployment")["spec"].selector).to.deep.equal(before.one("Deployment")["spec"].selector);
        },
      );
    });

    it("no pod for other bounds, nor for what is installed beside the pods", () => {
      const before = templateTextOf(render(helm));
      expect(before).to.include("containers:");
      const on = { enabled: true };
      for (const values of [
        { scaling: { minReplicas: 7, maxReplicas: 70, standbyWorkers: 3, cooldownSeconds: 5, checkIntervalSeconds: 5 } },
        { scaling: { mode: "none" } },
        { monitoring: { serviceMonitor: on, prometheusRule: on, dashboards: on } },
        { networkPolicy: { enabled: true, ingressFrom: [{ podSelector: {} }] } },
        { podDisruptionBudget: { enabled: false }, lease: { create: false }, rbac: { create: false } },
        { extraObjects: ["{ apiVersion: v1, kind: ConfigMap, metadata: { name: more } }"] },
      ])
        expect(templateTextOf(render(helm, values)), JSON.stringify(values)).to.equal(before);
    });

    it("no pod by rendering twice", () => {
      expect(render(helm).all).to.deep.equal(render(helm).all);
    });

    it("no pod for a Secret of yours, which the chart cannot see", () => {
      expect(annotationsOf(render(helm, { mongodb: { uri: null, existingSecret: "mine" } }))).to.have.all.keys(
        "kubectl.kubernetes.io/default-container",
        "checksum/fence",
      );
    });
  });

describe("chart restarts", () => {
  it("all pods for another fence", () => {
    withChart(
      (dir) => appendFileSync(join(dir, "files", "fence.sh"), "# changed\n"),
      (chart) => {
        const [before, after] = [render(helm3), render(helm3, {}, { chart })].map(annotationsOf);
        expect(after?.["checksum/fence"]).not.to.equal(before?.["checksum/fence"]);
      },
    );
  });

  it("all pods for another connection string", () => {
    const other = render(helm3, { mongodb: { uri: "mongodb://other" } });
    expect(annotationsOf(other)["checksum/mongodb"]).not.to.equal(annotationsOf(render(helm3))["checksum/mongodb"]);
  });
});

describe("chart annotations", () => {
  it("name the container that kubectl means", () => {
    expect(annotationsOf(render(helm3))["kubectl.kubernetes.io/default-container"]).to.equal("runtime");
  });
});

describe("chart templates", () => {
  // Whoever renders without a cluster (Argo CD, `helm template`) would get other objects, or other ones each time.
  const asking = /\b(lookup|rand\w+|gen\w+Cert|genCA|genPrivateKey|uuidv4|now|htpasswd|\.Capabilities)\b/;
  for (const name of readdirSync(join(chartDir, "templates")))
    it(`ask neither the cluster nor chance nor the clock: ${name}`, () => {
      const text = readFileSync(join(chartDir, "templates", name), "utf8");
      for (const [action] of text.matchAll(/\{\{(?!-?\s*\/\*)[^}]*\}\}/g)) expect(action).not.to.match(asking);
    });
});
