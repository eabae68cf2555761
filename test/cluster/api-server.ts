// What a real API server makes of the chart's objects, and what it keeps of who wrote the count.
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { expect } from "chai";
import { parseAllDocuments } from "yaml";

import type { Cluster } from "../../scripts/lib/cluster/cluster.ts";
import { run } from "../../scripts/lib/command.ts";
import { readDeployment } from "../../src/kubernetes/deployment.ts";
import type { RawObject } from "../../src/kubernetes/objects.ts";
import { applyCrds } from "./crds.ts";
import { webPod } from "./pods.ts";

const chart = new URL("../../chart/", import.meta.url).pathname;
const namespace = "dry-run";

/** Tests of a cluster that is up, in this order. */
export function apiServer(cluster: () => Cluster): void {
  const kubectl = (...words: string[]) =>
    run(join(cluster().bin, "kubectl"), ["--request-timeout=20s", "--namespace", namespace, ...words], {
      env: { ...process.env, KUBECONFIG: cluster().kubeconfig },
    });
  const put = async (text: string): Promise<string> => {
    const file = join(cluster().runDir, "objects.yaml");
    await writeFile(file, text);
    return file;
  };
  const dryRun = async (text: string) =>
    (await kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", await put(text))).trim().split("\n");
  // Without the pod of `helm test`: a Pod is admitted only where its service account is there.
  const words = ["--namespace", namespace, "--kube-version", "1.36.3", "--skip-tests"];
  const rendered = (helm: string, values: string) => run(join(cluster().bin, helm), ["template", "runtime", chart, ...words, "-f", values]);
  const objectsIn = (text: string) => parseAllDocuments(text).filter((document) => document.contents !== null);

  it("takes the kinds of KEDA and of the Prometheus operator", async () => {
    await kubectl("create", "namespace", namespace);
    await applyCrds(kubectl);
  });

  for (const helm of ["helm3", "helm4"])
    it(`takes every object of every values file in chart/ci, as ${helm} makes it`, async () => {
      const kinds = new Set<unknown>();
      for (const file of (await readdir(join(chart, "ci"))).filter((name) => name.endsWith(".yaml"))) {
        const text = await rendered(helm, join(chart, "ci", file));
        const objects = objectsIn(text);
        for (const object of objects) kinds.add(object.get("kind"));
        const said = await dryRun(text);
        expect(
          said.filter((line) => line.endsWith(" serverside-applied (server dry run)")),
          file,
        ).to.have.lengthOf(objects.length);
      }
      expect([...kinds]).to.include.members(["Deployment", "ScaledObject", "TriggerAuthentication"]);
      expect(await kubectl("get", "deployments,scaledobjects", "-o", "name")).to.equal("");
    });

  for (const [why, from, to, says] of [
    ["a field that there is not", "restoreToOriginalReplicaCount", "restoreToOriginalCount", /field not declared in schema|unknown field/],
    ["a tolerance that is no number", 'tolerance: "0"', 'tolerance: "none"', /tolerance/],
  ] as const)
    it(`refuses ${why} in a ScaledObject, so that the test above means something`, async () => {
      const text = await rendered("helm4", join(chart, "ci", "keda-tolerance-values.yaml"));
      expect(text).to.include(from);
      const refused = await dryRun(text.replace(from, to)).catch((error: Error) => error.message);
      expect(String(refused)).to.match(says);
    });

  it("says that an HPA owns the count long after it has gone, and not since when: so a leader has to remember", async () => {
    const { metadata, spec } = webPod("scaled", "nowhere");
    const { labels } = metadata;
    const meta = { name: "scaled", namespace };
    const target = { apiVersion: "apps/v1", kind: "Deployment", name: "scaled" };
    const template = { metadata: { labels }, spec };
    const deployment = { apiVersion: "apps/v1", kind: "Deployment", metadata: meta, spec: { selector: { matchLabels: labels }, template } };
    // Below its minimum it needs no metrics.
    const hpa = {
      apiVersion: "autoscaling/v2",
      kind: "HorizontalPodAutoscaler",
      metadata: meta,
      spec: { scaleTargetRef: target, minReplicas: 3, maxReplicas: 4 },
    };
    const seen = async () => JSON.parse(await kubectl("get", "deployment", "scaled", "-o", "json", "--show-managed-fields")) as RawObject;
    await kubectl("apply", "-f", await put(JSON.stringify(deployment)));
    expect(readDeployment(await seen()).view).to.include({ replicas: 1, foreignScaler: undefined });

    await kubectl("apply", "-f", await put(JSON.stringify(hpa)));
    await kubectl("wait", "--for=jsonpath={.spec.replicas}=3", "--timeout=60s", "deployment/scaled");
    await kubectl("delete", "hpa", "scaled");
    const { managedFields = [] } = (await seen()).metadata ?? {};
    expect(managedFields.filter(({ subresource }) => subresource === "scale")).to.deep.equal([
      {
        manager: "kube-controller-manager",
        operation: "Update",
        apiVersion: "apps/v1",
        fieldsType: "FieldsV1",
        fieldsV1: { "f:spec": { "f:replicas": {} } },
        subresource: "scale",
      },
    ]);
    expect(readDeployment(await seen()).view.foreignScaler).to.equal("kube-controller-manager");
  });
}
