import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { expect } from "chai";
import { parse } from "yaml";

import { chartDir, helm3, helms, merge, refusal, render, type Values } from "../support/chart.ts";

const defaults = parse(readFileSync(join(chartDir, "values.yaml"), "utf8")) as Values;
const example = join(chartDir, "..", "values.example.yaml");

/** One other value for each key, by its path. */
const OTHER: Readonly<Record<string, unknown>> = {
  "image.repository": "other",
  "image.tag": "2",
  "image.pullPolicy": "Always",
  imagePullSecrets: [{ name: "mine" }],
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
  registryAuthSecret: "mine",
  "runtime.logLevel": "debug",
  "runtime.segmentsEndpoint": false,
  "runtime.timings": "ci",
  "runtime.stateSizeLimit": "1Gi",
  "runtime.resources": { requests: { cpu: 1 } },
  "runtime.extraEnv": [{ name: "A", value: "b" }],
  "runtime.extraVolumes": [{ name: "a", emptyDir: {} }],
  "runtime.extraVolumeMounts": [{ name: "fence", mountPath: "/a" }],
  "dind.image.repository": "other",
  "dind.image.tag": "29-dind",
  "dind.image.pullPolicy": "Always",
  "dind.mtu": 1400,
  "dind.denyCidrs": ["10.0.0.0/8"],
  "dind.dataSizeLimit": "1Gi",
  "dind.resources": { requests: { cpu: 1 } },
  "dind.extraArgs": ["--debug"],
  "dind.extraEnv": [{ name: "A", value: "b" }],
  "lease.create": false,
  "pod.annotations": { a: "b" },
  "pod.labels": { a: "b" },
  "pod.nodeSelector": { a: "b" },
  "pod.tolerations": [{ operator: "Exists" }],
  "pod.affinity": { nodeAffinity: {} },
  "pod.dnsPolicy": "Default",
  "pod.dnsConfig": { nameservers: ["10.0.0.10"] },
  "pod.priorityClassName": "high",
};

const keda = { scaling: { mode: "keda", keda: { serverAddress: "http://mine" } } };
const token = { scaling: { keda: { authentication: { secretName: "mine", parameters: { bearerToken: "token", ca: "ca.crt" } } } } };
/** What must be so for a key to mean anything. */
const NEEDS: readonly (readonly [keys: RegExp, values: Values])[] = [
  [/^mongodb\.(existingSecret|secretKey)$/, { mongodb: { uri: null, existingSecret: "yours" } }],
  [/^scaling\.keda\.authentication\.(modes|parameters)$/, merge(keda, token)],
  [/^scaling\.keda\./, keda],
];

/** Kubernetes' own shapes, which are handed on as they are. */
const WHOLE =
  /resources$|^scaling\.keda\.(metadata|annotations|labels|authentication\.(parameters|ref))$|^pod\.(annotations|labels|nodeSelector|affinity|dnsConfig)$/;

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

  for (const helm of helms) {
    it(`pass the linter of ${helm.name}, with the example`, () => {
      const { status, stdout, stderr } = spawnSync(helm.path, ["lint", "--strict", chartDir, "-f", example], { encoding: "utf8" });
      expect(status, stdout + stderr).to.equal(0);
      expect(stdout + stderr).not.to.match(/\[(WARNING|ERROR)\]|Fail:/);
    });

    it(`of the example render by ${helm.name}`, () => {
      expect(refusal(helm, parse(readFileSync(example, "utf8")) as Values)).to.equal("");
    });
  }
});
