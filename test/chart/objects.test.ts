import { readFileSync } from "node:fs";
import { join } from "node:path";

import { expect } from "chai";

import { readScalingSettings } from "../../src/core/scaling-settings.ts";
import { chartDir, helms, render, type Thing } from "../support/chart.ts";

type Rule = { apiGroups: string[]; resources: string[]; resourceNames?: string[]; verbs: string[] };

const rights = ({ rules }: Thing): string[] =>
  (rules as Rule[]).flatMap(({ apiGroups, resources, resourceNames = ["*"], verbs }) =>
    apiGroups.flatMap((group) => resources.flatMap((what) => resourceNames.map((name) => `${group}/${what}/${name}: ${verbs.join(" ")}`))),
  );

/** What the code asks for, and nothing more. */
const READING = [
  "apps/deployments/runtime: get list watch",
  "coordination.k8s.io/leases/*: create get list watch update patch delete",
  "/pods/*: get list watch patch delete",
  "/events/*: create patch",
  "/configmaps/runtime-scaling: get list watch",
];

for (const helm of helms)
  describe(`chart objects by ${helm.name}`, () => {
    it("has the guide's names, all in the release's namespace", () => {
      const { all } = render(helm);
      expect(all.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).to.have.members([
        "ServiceAccount runtime",
        "Secret runtime-mongodb",
        "ConfigMap runtime-fence",
        "ConfigMap runtime-scaling",
        "Role runtime",
        "RoleBinding runtime",
        "Service runtime-service",
        "Deployment runtime",
        "Lease runtime",
        "PodDisruptionBudget runtime",
        "Pod runtime-doctor",
      ]);
      for (const { metadata } of all) expect(metadata.namespace).to.equal("runtime");
    });

    it("keeps two releases of a namespace apart", () => {
      const names = (release: string) => render(helm, {}, { release }).all.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
      const [one, two] = [names("blue"), names("green-runtime")];
      expect(one).to.include("Deployment blue-runtime").and.to.include("Service blue-runtime-service");
      expect(two).to.include("Deployment green-runtime").and.to.include("ConfigMap green-runtime-scaling");
      expect(one.filter((name) => two.includes(name))).to.deep.equal([]);
    });

    it("gives names that a label bears to the longest release", () => {
      const { all } = render(helm, {}, { release: "r".repeat(53) });
      for (const { kind, metadata } of all) expect(metadata.name, kind).to.have.lengthOf.at.most(63);
    });

    it("gives the right to scale with the native scaler only, by name", () => {
      const scale = "apps/deployments/scale/runtime: get update patch";
      expect(rights(render(helm).one("Role"))).to.have.members([...READING, scale]);
      for (const mode of ["keda", "none"]) {
        const values = { scaling: { mode, keda: { serverAddress: "http://prometheus" } } };
        expect(rights(render(helm, values).one("Role"))).to.have.members(READING);
      }
    });

    it("binds the Role to its own service account, whose token goes to no pod by itself", () => {
      const { one } = render(helm);
      expect(one("RoleBinding")).to.deep.include({
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "runtime" },
        subjects: [{ kind: "ServiceAccount", name: "runtime", namespace: "runtime" }],
      });
      expect(one("ServiceAccount")["automountServiceAccountToken"]).to.equal(false);
    });

    it("installs a Lease of metadata only, or none", () => {
      expect(render(helm).one("Lease")).to.have.all.keys("apiVersion", "kind", "metadata");
      expect(render(helm, { lease: { create: false } }).all.map(({ kind }) => kind)).not.to.include("Lease");
    });

    it("hands the fence over byte for byte", () => {
      const { data } = render(helm).one("ConfigMap", "runtime-fence");
      expect(data).to.deep.equal({ "fence.sh": readFileSync(join(chartDir, "files", "fence.sh"), "utf8") });
    });

    it("says the scaling in words that the leader reads", () => {
      const scaling = {
        mode: "none",
        minReplicas: 2,
        maxReplicas: 10_000,
        standbyWorkers: 1,
        checkIntervalSeconds: 7,
        cooldownSeconds: 86_400,
      };
      const { data } = render(helm, { scaling }).one("ConfigMap", "runtime-scaling");
      const base = { mode: "native", min: 3, max: 40, standby: 0, checkIntervalMs: 0, cooldownMs: 0 } as const;
      expect(readScalingSettings(data as Record<string, string>, base)).to.deep.equal({
        settings: { mode: "none", min: 2, max: 10_000, standby: 1, checkIntervalMs: 7_000, cooldownMs: 86_400_000 },
        faults: [],
      });
    });

    it("keeps the connection string in a Secret, or asks yours", () => {
      const secret = render(helm).one("Secret");
      expect(Buffer.from((secret["data"] as { MONGO_URI: string }).MONGO_URI, "base64").toString()).to.equal("mongodb://mongo:27017");
      const { all } = render(helm, { mongodb: { uri: null, existingSecret: "mine" } });
      expect(all.map(({ kind }) => kind)).not.to.include("Secret");
    });

    it("points the Service at the pods and at nothing that changes with them", () => {
      const { one } = render(helm, { pod: { labels: { team: "a" } } });
      const selector = { "app.kubernetes.io/name": "runtime", "app.kubernetes.io/instance": "runtime" };
      expect(one("Service")["spec"]).to.deep.equal({ selector, ports: [{ name: "http", port: 8080, targetPort: "http" }] });
      expect(one("Deployment")["spec"].selector).to.deep.equal({ matchLabels: selector });
      expect(one("Deployment")["spec"].template.metadata.labels).to.deep.equal({ ...selector, team: "a" });
    });
  });
