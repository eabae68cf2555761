import { readFileSync } from "node:fs";
import { join } from "node:path";

import { expect } from "chai";
import { parse } from "yaml";

import { chartDir, helm3, merge, render, type Values } from "../support/chart.ts";

const defaults = parse(readFileSync(join(chartDir, "values.yaml"), "utf8")) as Values;

/** One other value for each key, by its path. */
const OTHER: Readonly<Record<string, unknown>> = {
  "image.registry": "registry.example:5000",
  "image.repository": "other",
  "image.tag": "2",
  "image.digest": `sha256:${"b".repeat(64)}`,
  "image.pullPolicy": "Always",
  imagePullSecrets: [{ name: "mine" }],
  fullnameOverride: "other",
  "bots.maxSegment": 65,
  "bots.maxStopGraceSeconds": 61,
  "bots.maxPerWorker": 501,
  "bots.startConcurrency": 5,
  "bots.backlogPatienceSeconds": 31,
  "scaling.mode": "none",
  "scaling.minReplicas": 4,
  "scaling.maxReplicas": 41,
  "scaling.standbyWorkers": 1,
  "scaling.checkIntervalSeconds": 16,
  "scaling.cooldownSeconds": 31,
  "scaling.keda.serverAddress": "http://other",
  "scaling.keda.scrapeIntervalSeconds": 31,
  "scaling.keda.hpaTolerance": true,
  "scaling.keda.namespaceLabel": "other",
  "scaling.keda.podLabel": "other",
  "scaling.keda.authentication.secretName": "other",
  "scaling.keda.authentication.modes": "tls,bearer",
  "scaling.keda.authentication.parameters": { bearerToken: "other" },
  "scaling.keda.authentication.ref": { name: "other" },
  "scaling.keda.metadata": { a: "b" },
  "scaling.keda.annotations": { a: "b" },
  "scaling.keda.labels": { a: "b" },
  "mongodb.uri": "mongodb://other",
  "mongodb.existingSecret": "mine",
  "mongodb.secretKey": "uri",
  "mongodb.database": "other",
  "mongodb.collection": "other",
  "mongodb.tls.existingSecret": "tls",
  "mongodb.tls.caKey": null,
  "mongodb.tls.certKey": "both.pem",
  registryAuthSecret: "mine",
  "runtime.logLevel": "debug",
  "runtime.segmentsEndpoint": false,
  "runtime.timings": "ci",
  "runtime.stateSizeLimit": "1Gi",
  "runtime.resources": { requests: { cpu: 1 } },
  "runtime.extraEnv": [{ name: "A", value: "b" }],
  "runtime.extraVolumes": [{ name: "a", emptyDir: {} }],
  "runtime.extraVolumeMounts": [{ name: "fence", mountPath: "/a" }],
  "dind.image.registry": "registry.example:5000",
  "dind.image.repository": "other",
  "dind.image.tag": "29-dind",
  "dind.image.digest": `sha256:${"b".repeat(64)}`,
  "dind.image.pullPolicy": "Always",
  "dind.mtu": 1400,
  "dind.denyCidrs": ["10.0.0.0/8"],
  "dind.registryMirrors": ["https://mirror.example"],
  "dind.dataSizeLimit": "1Gi",
  "dind.dataStorageClass": "fast",
  "dind.resources": { requests: { cpu: 1 } },
  "dind.extraArgs": ["--debug"],
  "dind.extraEnv": [{ name: "A", value: "b" }],
  "dind.securityContext": { privileged: false },
  "dind.runtimeClassName": "sysbox-runc",
  "dind.hostUsers": false,
  "lease.create": false,
  "rbac.create": false,
  "serviceAccount.create": false,
  "serviceAccount.name": "mine",
  "serviceAccount.annotations": { a: "b" },
  "pod.annotations": { a: "b" },
  "pod.labels": { a: "b" },
  "pod.nodeSelector": { a: "b" },
  "pod.tolerations": [{ operator: "Exists" }],
  "pod.lostNodeSeconds": null,
  "pod.affinity": { nodeAffinity: {} },
  "pod.topologySpreadConstraints": [],
  "pod.dnsPolicy": "Default",
  "pod.dnsConfig": { nameservers: ["10.0.0.10"] },
  "pod.priorityClassName": "high",
  "podDisruptionBudget.enabled": false,
  "podDisruptionBudget.maxUnavailable": 1,
  "monitoring.serviceMonitor.enabled": true,
  "monitoring.serviceMonitor.labels": { release: "mine" },
  "monitoring.serviceMonitor.interval": "30s",
  "monitoring.prometheusRule.enabled": true,
  "monitoring.prometheusRule.labels": { release: "mine" },
  "monitoring.dashboards.enabled": true,
  "monitoring.dashboards.labels": { other: "2" },
  "monitoring.dashboards.annotations": { grafana_folder: "Bots" },
  "networkPolicy.enabled": true,
  "networkPolicy.ingressFrom": [{ podSelector: {} }],
  "networkPolicy.egress.dns": [],
  "networkPolicy.egress.mongodb": [],
  "networkPolicy.egress.apiServer": [],
  "networkPolicy.egress.registries": [],
  "networkPolicy.egress.bots": [],
  extraObjects: ["{ apiVersion: v1, kind: ConfigMap, metadata: { name: more } }"],
};

const keda = { scaling: { mode: "keda", keda: { serverAddress: "http://mine" } } };
const token = { scaling: { keda: { authentication: { secretName: "mine", parameters: { bearerToken: "token", ca: "ca.crt" } } } } };
/** What must be so for a key to mean anything. */
const NEEDS: readonly (readonly [keys: RegExp, values: Values])[] = [
  [/^mongodb\.(existingSecret|secretKey)$/, { mongodb: { uri: null, existingSecret: "yours" } }],
  [/^mongodb\.tls\.(?!existingSecret)/, { mongodb: { tls: { existingSecret: "tls", certKey: "client.pem" } } }],
  [/^serviceAccount\.create$/, { serviceAccount: { name: "there" } }],
  [/^monitoring\.serviceMonitor\.(?!enabled)/, { monitoring: { serviceMonitor: { enabled: true } } }],
  [/^monitoring\.prometheusRule\.(?!enabled)/, { monitoring: { prometheusRule: { enabled: true } } }],
  [/^monitoring\.dashboards\.(?!enabled)/, { monitoring: { dashboards: { enabled: true } } }],
  [/^networkPolicy\.(?!enabled)/, { networkPolicy: { enabled: true } }],
  [/^scaling\.keda\.authentication\.(modes|parameters)$/, merge(keda, token)],
  [/^scaling\.keda\./, keda],
];

/** Kubernetes' own shapes, which are handed on as they are. */
const WHOLE =
  /(resources|labels|annotations|nodeSelector|affinity|dnsConfig|securityContext|keda\.metadata|authentication\.(parameters|ref))$/;

function leaves(values: Values, path = ""): string[] {
  return Object.entries(values).flatMap(([key, value]) => {
    const here = path === "" ? key : `${path}.${key}`;
    const isGroup = typeof value === "object" && value !== null && !Array.isArray(value) && !WHOLE.test(here);
    return isGroup ? leaves(value as Values, here) : [here];
  });
}

const nested = (path: string, value: unknown): Values =>
  path.split(".").reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as Values;

describe("chart values", () => {
  it("are all known to this test", () => {
    expect(leaves(defaults)).to.have.members(Object.keys(OTHER));
  });

  const plain = JSON.stringify(render(helm3).all);
  for (const [path, value] of Object.entries(OTHER))
    it(`have an effect: ${path}`, () => {
      const needs = NEEDS.find(([keys]) => keys.test(path))?.[1];
      const before = needs === undefined ? plain : JSON.stringify(render(helm3, needs).all);
      expect(JSON.stringify(render(helm3, merge(needs ?? {}, nested(path, value))).all)).not.to.equal(before);
    });
});
