import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { expect } from "chai";

import { helms, merge, render, type Values, withChart } from "../support/chart.ts";

type Helm = (typeof helms)[number];

const NOTES_OBJECT = `apiVersion: v1
kind: ConfigMap
metadata: { name: notes }
data: { text: {{ include "notes" . | quote }} }
`;

/** What Helm prints after an install. `helm template` leaves it out, so a copy of the chart has it in an object. */
function notesOf(helm: Helm, values: Values = {}, release = "runtime"): string {
  return withChart(
    (dir) => {
      const notes = join(dir, "templates", "NOTES.txt");
      writeFileSync(join(dir, "templates", "_notes.tpl"), `{{ define "notes" }}${readFileSync(notes, "utf8")}{{ end }}`);
      rmSync(notes);
      writeFileSync(join(dir, "templates", "notes.yaml"), NOTES_OBJECT);
    },
    (chart) => render(helm, values, { chart, release }).one("ConfigMap", "notes")["data"].text as string,
  );
}

const commandsIn = (notes: string): string[] => [...notes.matchAll(/^ {2}(\S.*)$/gm)].map(([, command = ""]) => command);

for (const helm of helms)
  describe(`chart notes by ${helm.name}`, () => {
    it("say how to let the pods in, how to look at them and how to change the bounds", () => {
      expect(commandsIn(notesOf(helm))).to.deep.equal([
        "kubectl label namespace runtime pod-security.kubernetes.io/enforce=privileged",
        "kubectl rollout status deployment/runtime -n runtime",
        "kubectl logs -f deployment/runtime -n runtime",
        "kubectl exec deployment/runtime -n runtime -- curl -s localhost:8080/metrics/segments",
        "helm upgrade runtime CHART -n runtime --reset-then-reuse-values --set scaling.maxReplicas=60",
      ]);
    });

    it("name the objects of a release of another name", () => {
      const commands = commandsIn(notesOf(helm, {}, "blue"));
      expect(commands.filter((command) => command.startsWith("helm upgrade blue "))).to.have.lengthOf(1);
      for (const command of commands) if (/deployment\//.test(command)) expect(command).to.include("deployment/blue-runtime");
    });

    it("say the bounds as they are, who keeps them, and that nobody scales when nobody does", () => {
      expect(notesOf(helm, { scaling: { minReplicas: 2, maxReplicas: 10_000 } })).to.include("keeps 2 to 10000 pods");
      const keda = notesOf(helm, { scaling: { mode: "keda", keda: { serverAddress: "http://p" } } });
      expect(keda).to.include("KEDA keeps 3 to 40 pods").and.to.include("--set scaling.maxReplicas=60");
      const none = notesOf(helm, { scaling: { mode: "none" } });
      expect(none).to.include("scales nothing itself (scaling.mode is none)").and.not.to.include("keeps");
      expect(none).to.include("--reset-then-reuse-values --set scaling.mode=native");
    });

    it("warn of segments that will share workers, and only of them", () => {
      const warning = (values: Values) => /^WARNING: bots\.maxSegment.*\n.*$/m.exec(notesOf(helm, values))?.[0] ?? "";
      expect(warning({})).to.include("bots.maxSegment is 64, and 40 pods are 39 workers").and.to.include("scaling.maxReplicas to 65");
      expect(warning({ bots: { maxSegment: 40 } })).to.include("bots.maxSegment to 39");
      expect(warning({ bots: { maxSegment: 39 } })).to.equal("");
      expect(warning({ scaling: { mode: "keda", keda: { serverAddress: "http://p" } } })).not.to.equal("");
      // Then the number of pods is not the bounds' business.
      expect(warning({ scaling: { mode: "none" } })).to.equal("");
    });

    it("warn of an image that may be another one tomorrow", () => {
      const warning = "WARNING: image.tag is latest";
      expect(notesOf(helm, { image: { tag: "latest" } })).to.include(warning);
      expect(notesOf(helm, { image: { tag: "latest", digest: `sha256:${"a".repeat(64)}` } })).not.to.include(warning);
      expect(notesOf(helm)).not.to.include(warning);
    });

    it("say which label kube-prometheus-stack asks for, where none is set", () => {
      const hints = (monitoring: Values) => [...notesOf(helm, { monitoring }).matchAll(/^monitoring\.\w+\.labels\.release/gm)].map(String);
      const both = { serviceMonitor: { enabled: true }, prometheusRule: { enabled: true } };
      expect(hints({})).to.deep.equal([]);
      expect(hints(both)).to.have.members(["monitoring.serviceMonitor.labels.release", "monitoring.prometheusRule.labels.release"]);
      const labels = { release: "kube-prometheus-stack" };
      expect(hints(merge(both, { serviceMonitor: { labels }, prometheusRule: { labels } }))).to.deep.equal([]);
    });

    it("warn of a policy that shuts Prometheus out", () => {
      const warning = "WARNING: networkPolicy.ingressFrom is empty";
      const [monitoring, on] = [{ serviceMonitor: { enabled: true } }, { enabled: true }];
      expect(notesOf(helm, { monitoring, networkPolicy: on })).to.include(warning);
      expect(notesOf(helm, { monitoring, networkPolicy: { ...on, ingressFrom: [{ namespaceSelector: {} }] } })).not.to.include(warning);
      expect(notesOf(helm, { networkPolicy: on })).not.to.include(warning);
      expect(notesOf(helm, { monitoring })).not.to.include(warning);
    });

    it("keep the connection string to themselves", () => {
      expect(notesOf(helm, { mongodb: { uri: "mongodb://u:hidden@mongo" } })).not.to.include("hidden");
    });
  });
