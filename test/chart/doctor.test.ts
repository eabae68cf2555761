import { expect } from "chai";

import { rightsFor, scalingRights } from "../../src/doctor/cluster-checks.ts";
import type { Right } from "../../src/doctor/ports.ts";
import { helms, render, type Thing } from "../support/chart.ts";

type Rule = { apiGroups: string[]; resources: string[]; resourceNames?: string[]; verbs: string[] };
type Named = { readonly name: string };

/** Each right that a Role gives, one a line. */
const given = ({ rules }: Thing): string[] =>
  (rules as Rule[]).flatMap(({ apiGroups, resources, resourceNames = ["*"], verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((what) => resourceNames.flatMap((name) => verbs.map((verb) => `${verb} ${group}/${what} ${name}`))),
    ),
  );
const asked = (rights: readonly Right[]): string[] =>
  rights.map(
    ({ verb, group, resource, subresource, name = "*" }) =>
      `${verb} ${group}/${resource}${subresource === undefined ? "" : `/${subresource}`} ${name}`,
  );

for (const helm of helms) {
  const podOf = (values = {}, options = {}) => render(helm, values, options).one("Pod");
  const runtimeOf = (values = {}) => render(helm, values).one("Deployment")["spec"].template.spec;

  describe(`runtime doctor and the chart by ${helm.name}`, () => {
    for (const [mode, more] of [
      ["native", scalingRights("runtime")],
      ["keda", []],
      ["none", []],
    ] as const)
      it(`asks for each right that the Role gives with scaling.mode ${mode}, and for no other`, () => {
        const place = { deployment: "runtime", configMap: "runtime-scaling" };
        const role = render(helm, { scaling: { mode } }).one("Role");
        expect(asked([...rightsFor(place), ...more])).to.have.members(given(role));
      });
  });

  describe(`chart's test pod by ${helm.name}`, () => {
    it("is a test of Helm's, and gone once it has passed", () => {
      const { metadata } = podOf() as unknown as { metadata: { name: string; annotations: Record<string, string> } };
      expect(metadata.name).to.equal("runtime-doctor");
      expect(metadata.annotations).to.deep.equal({
        "helm.sh/hook": "test",
        "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
      });
      expect(podOf({}, { release: "r".repeat(53) }).metadata.name).to.have.lengthOf.at.most(63);
    });

    it("is none of the pods that the Service and the Deployment find", () => {
      const { one } = render(helm);
      const selector = one("Service")["spec"].selector as Record<string, string>;
      const labels = one("Pod").metadata.labels ?? {};
      for (const [key, value] of Object.entries(selector)) expect(labels[key], key).to.not.equal(value);
    });

    it("looks at what all pods share, with the runtime's image, settings, rights and hardening", () => {
      const values = {
        registryAuthSecret: "auth",
        runtime: {
          extraEnv: [{ name: "MONGO_TLS_CA_FILE", value: "/ca/ca.pem" }],
          extraVolumes: [{ name: "ca", secret: { secretName: "ca" } }],
          extraVolumeMounts: [{ name: "ca", mountPath: "/ca" }],
        },
        pod: { tolerations: [{ operator: "Exists" }], nodeSelector: { disk: "ssd" } },
      };
      const { spec } = podOf(values);
      const fleet = runtimeOf(values);
      const [runtime] = fleet.containers;
      const [doctor, service] = spec.containers;
      expect(doctor.args).to.deep.equal(["doctor", "--only", "mongodb,kubernetes"]);
      for (const same of ["image", "imagePullPolicy", "env", "securityContext"]) expect(doctor[same], same).to.deep.equal(runtime[same]);
      for (const same of ["serviceAccountName", "automountServiceAccountToken", "tolerations", "nodeSelector"])
        expect(spec[same], same).to.deep.equal(fleet[same]);
      const mounted = (doctor.volumeMounts as Named[]).map(({ name }) => name);
      expect(mounted).to.have.members(["account", "registry-auth", "ca"]);
      expect(spec.volumes).to.deep.equal((fleet.volumes as Named[]).filter(({ name }) => mounted.includes(name)));
      expect(service.securityContext).to.deep.equal(runtime.securityContext);
      expect([service.volumeMounts, service.env]).to.deep.equal([undefined, undefined]);
    });

    it("asks the Service of its own release whether a pod is ready", () => {
      const { one } = render(helm, {}, { release: "blue" });
      const { name } = one("Service").metadata;
      expect(one("Pod")["spec"].containers[1].args).to.deep.equal([`http://${name}:8080/readyz`]);
    });
  });
}
