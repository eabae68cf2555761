// What an installation may have besides what it needs.
import { expect } from "chai";

import { helms, render, type Rendered, type Values } from "../support/chart.ts";

const names = ({ all }: Rendered) => all.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
const podLabels = { "app.kubernetes.io/name": "runtime", "app.kubernetes.io/instance": "runtime" };

for (const helm of helms)
  describe(`chart extras by ${helm.name}`, () => {
    it("takes another name for all objects, and finds its pods by the same labels as ever", () => {
      const rendered = render(helm, { fullnameOverride: "bots" });
      for (const { kind, metadata } of rendered.all) expect(metadata.name, kind).to.match(/^bots(-|$)/);
      expect(rendered.one("Deployment")["spec"].selector).to.deep.equal({ matchLabels: podLabels });
      const env = rendered.one("Deployment")["spec"].template.spec.containers[0].env as { name: string; value: string }[];
      const named = env.filter(({ name }) => ["DEPLOYMENT_NAME", "LEASE_LOCK_NAME", "SCALING_CONFIGMAP"].includes(name));
      expect(named.map(({ value }) => value)).to.deep.equal(["bots", "bots", "bots-scaling"]);
    });

    it("lets a drain take a tenth of the pods, and none of another release", () => {
      expect(render(helm).one("PodDisruptionBudget")["spec"]).to.deep.equal({
        maxUnavailable: "10%",
        unhealthyPodEvictionPolicy: "AlwaysAllow",
        selector: { matchLabels: podLabels },
      });
      expect(render(helm, { podDisruptionBudget: { maxUnavailable: 2 } }).one("PodDisruptionBudget")["spec"].maxUnavailable).to.equal(2);
      expect(names(render(helm, { podDisruptionBudget: { enabled: false } }))).not.to.include("PodDisruptionBudget runtime");
    });

    it("leaves rights and service account to an administrator, and uses his", () => {
      const rendered = render(helm, { rbac: { create: false }, serviceAccount: { create: false, name: "theirs" } });
      expect(names(rendered).filter((name) => /^(Role|RoleBinding|ServiceAccount) /.test(name))).to.deep.equal([]);
      expect(rendered.one("Deployment")["spec"].template.spec.serviceAccountName).to.equal("theirs");
    });

    it("binds a service account of another name, with its annotations", () => {
      const rendered = render(helm, { serviceAccount: { name: "robot", annotations: { "example.com/role": "bots" } } });
      expect(rendered.one("RoleBinding")["subjects"]).to.deep.equal([{ kind: "ServiceAccount", name: "robot", namespace: "runtime" }]);
      expect(rendered.one("ServiceAccount").metadata).to.deep.include({ name: "robot", annotations: { "example.com/role": "bots" } });
      expect(rendered.one("Deployment")["spec"].template.spec.serviceAccountName).to.equal("robot");
    });

    it("adds objects of yours, with their templates filled in", () => {
      const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: '{{ include "runtime.name" . }}-object' } };
      const text =
        'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}-text\n  namespace: "{{ .Release.Namespace }}"\n';
      const extraObjects: Values[string] = [object, text];
      const added = names(render(helm, { extraObjects })).filter((name) => !names(render(helm)).includes(name));
      expect(added).to.have.members(["ConfigMap runtime-object", "ConfigMap runtime-text"]);
    });
  });
