// What operators may say about the pods.
import { expect } from "chai";

import { helms, render, type Values } from "../support/chart.ts";

type Named = { readonly name: string; readonly [field: string]: unknown };

const digest = `sha256:${"c".repeat(64)}`;
const called = <T extends Named>(list: readonly T[], name: string) => list.find((item) => item.name === name);

for (const helm of helms) {
  const podOf = (values: Values) => render(helm, values).one("Deployment")["spec"].template.spec;
  const imagesOf = (values: Values): string[] => {
    const { containers, initContainers } = podOf(values);
    return [containers[0].image, initContainers[0].image];
  };

  describe(`chart pod options by ${helm.name}`, () => {
    for (const { why, image, is } of [
      { why: "a repository alone has the program's version", image: {}, is: "mine/runtime:0.1.0" },
      { why: "a registry goes before it", image: { registry: "r.example:5000" }, is: "r.example:5000/mine/runtime:0.1.0" },
      { why: "a digest goes behind the tag", image: { tag: "latest", digest }, is: `mine/runtime:latest@${digest}` },
    ] as const)
      it(`names the image: ${why}`, () => expect(imagesOf({ image })[0]).to.equal(is));

    it("names the Engine's image in the same way", () => {
      expect(imagesOf({ dind: { image: { registry: "r.example", tag: "29-dind", digest } } })[1]).to.equal(
        `r.example/docker:29-dind@${digest}`,
      );
    });

    it("hands MongoDB's authority and certificate to the runtime alone, as files that it is told of", () => {
      const { containers, initContainers, volumes } = podOf({ mongodb: { tls: { existingSecret: "mongo-tls", certKey: "both.pem" } } });
      expect(called(volumes as Named[], "mongodb-tls")?.["secret"]).to.deep.equal({
        secretName: "mongo-tls",
        items: [
          { key: "ca.crt", path: "ca.pem" },
          { key: "both.pem", path: "client.pem" },
        ],
      });
      const [{ env, volumeMounts }] = containers as [{ env: Named[]; volumeMounts: Named[] }];
      const dir = called(volumeMounts, "mongodb-tls")?.["mountPath"] as string;
      expect(called(env, "MONGO_TLS_CA_FILE")?.["value"]).to.equal(`${dir}/ca.pem`);
      expect(called(env, "MONGO_TLS_CERT_FILE")?.["value"]).to.equal(`${dir}/client.pem`);
      expect(called(initContainers[0].volumeMounts as Named[], "mongodb-tls")).to.equal(undefined);
    });

    it("says nothing of a certificate that is not there", () => {
      const env = podOf({ mongodb: { tls: { existingSecret: "mongo-tls" } } }).containers[0].env as Named[];
      expect(env.map(({ name }) => name))
        .to.include("MONGO_TLS_CA_FILE")
        .and.not.to.include("MONGO_TLS_CERT_FILE");
    });

    it("replaces pods of a lost node after 30 s, or as it was told", () => {
      const tolerationsOf = (values: Values) => (podOf(values).tolerations ?? []) as { key: string; tolerationSeconds?: number }[];
      const seconds = (values: Values) => tolerationsOf(values).map(({ key, tolerationSeconds }) => [key, tolerationSeconds]);
      const [away, unwell] = ["node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready"];
      const both = (count: number) => [
        [unwell, count],
        [away, count],
      ];
      expect(seconds({})).to.deep.equal(both(30));
      expect(seconds({ pod: { lostNodeSeconds: 0 } })).to.deep.equal(both(0));
      expect(tolerationsOf({ pod: { lostNodeSeconds: null } })).to.deep.equal([]);
      // The operator's own are the last word.
      const own = [{ key: away, operator: "Exists", effect: "NoExecute", tolerationSeconds: 600 }, { operator: "Exists" }];
      expect(tolerationsOf({ pod: { tolerations: own } }).slice(0, 2)).to.deep.equal(own);
      expect(seconds({ pod: { tolerations: own } }).slice(2)).to.deep.equal([[unwell, 30]]);
    });

    it("spreads pods over zones and nodes and never waits for room there, or spreads as it was told", () => {
      const labelSelector = { matchLabels: render(helm).one("Service")["spec"].selector as object };
      const soft = { maxSkew: 1, whenUnsatisfiable: "ScheduleAnyway", labelSelector };
      expect(podOf({}).topologySpreadConstraints).to.deep.equal([
        { ...soft, topologyKey: "topology.kubernetes.io/zone" },
        { ...soft, topologyKey: "kubernetes.io/hostname" },
      ]);
      const own = [{ maxSkew: 2, topologyKey: "rack", whenUnsatisfiable: "DoNotSchedule" }];
      expect(podOf({ pod: { topologySpreadConstraints: own } }).topologySpreadConstraints).to.deep.equal(own);
      expect(podOf({ pod: { topologySpreadConstraints: [] } })).not.to.have.property("topologySpreadConstraints");
    });

    it("lets the Engine go without privileges where its runtime class gives it what it needs", () => {
      const pod = podOf({ dind: { securityContext: { privileged: false }, runtimeClassName: "sysbox-runc", hostUsers: false } });
      expect(pod.initContainers[0].securityContext).to.deep.equal({ privileged: false, runAsUser: 0 });
      expect(pod).to.include({ runtimeClassName: "sysbox-runc", hostUsers: false });
      expect(podOf({})).not.to.have.any.keys("runtimeClassName", "hostUsers");
    });

    it("asks mirrors first, in their order", () => {
      const registryMirrors = ["https://one.example", "http://two.example:5000"];
      const args = podOf({ dind: { registryMirrors } }).initContainers[0].args as string[];
      expect(args.filter((arg) => arg.includes("mirror"))).to.deep.equal(registryMirrors.map((at) => `--registry-mirror=${at}`));
    });

    it("puts images and layers on a volume of the pod's own, where a storage class is named", () => {
      const { volumes } = podOf({ dind: { dataStorageClass: "fast", dataSizeLimit: "50Gi" } });
      expect(called(volumes as Named[], "docker-data")).to.deep.equal({
        name: "docker-data",
        ephemeral: {
          volumeClaimTemplate: {
            spec: { accessModes: ["ReadWriteOnce"], storageClassName: "fast", resources: { requests: { storage: "50Gi" } } },
          },
        },
      });
    });
  });
}
