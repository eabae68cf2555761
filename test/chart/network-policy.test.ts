import { expect } from "chai";

import { helms, render, type Values } from "../support/chart.ts";

type Rule = { readonly to?: readonly Values[]; readonly ports?: readonly { readonly port: number; readonly protocol: string }[] };

const ports = (rules: readonly Rule[]) =>
  rules.filter(({ to }) => to === undefined).flatMap((rule) => (rule.ports ?? []).map(({ port }) => port));

for (const helm of helms) {
  const policy = (values: Values = {}) => render(helm, { networkPolicy: { enabled: true, ...values } }).one("NetworkPolicy")["spec"];
  describe(`chart network policy by ${helm.name}`, () => {
    it("is off unless somebody asks for it", () => {
      expect(render(helm).all.map(({ kind }) => kind)).not.to.include("NetworkPolicy");
    });

    it("is about this release's pods, and lets nobody in by itself", () => {
      const { podSelector, policyTypes, ingress } = policy();
      expect(podSelector.matchLabels).to.deep.equal(render(helm).one("Service")["spec"].selector);
      expect(policyTypes).to.deep.equal(["Ingress", "Egress"]);
      expect(ingress).to.deep.equal([]);
    });

    it("lets in whom it was told, on the port of the figures alone", () => {
      const from = [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "monitoring" } } }];
      expect(policy({ ingressFrom: from }).ingress).to.deep.equal([{ from, ports: [{ port: "http", protocol: "TCP" }] }]);
    });

    it("lets out to names, MongoDB, the API and registries, and bots to all but the clouds' credentials", () => {
      const egress = policy().egress as Rule[];
      expect(ports(egress)).to.deep.equal([53, 53, 27017, 443, 6443, 443]);
      expect(egress.filter(({ to }) => to !== undefined)).to.deep.equal([
        {
          to: [
            { ipBlock: { cidr: "0.0.0.0/0", except: ["169.254.0.0/16"] } },
            { ipBlock: { cidr: "::/0", except: ["fd00:ec2::254/128"] } },
          ],
        },
      ]);
    });

    it("takes each list from the values, and an emptied one as nothing", () => {
      const mongodb = [{ to: [{ ipBlock: { cidr: "10.1.0.0/16" } }], ports: [{ port: 27018, protocol: "TCP" }] }];
      const { egress } = policy({ egress: { dns: [], mongodb, apiServer: null, registries: [], bots: [] } });
      expect(egress).to.deep.equal(mongodb);
    });
  });
}
