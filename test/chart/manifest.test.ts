// deploy/runtime.yaml: the chart for people without Helm.
import { readFileSync } from "node:fs";

import { expect } from "chai";

import { PLAIN_VALUES, plainManifest } from "../../scripts/lib/plain-manifest.ts";
import { helms, objectsIn, templateText, type Thing } from "../support/chart.ts";
import { editedManifest, manifestPath } from "../support/plain-manifest.ts";

const text = readFileSync(manifestPath, "utf8");

const without = (record: object | undefined, ...names: string[]) =>
  Object.fromEntries(Object.entries(record ?? {}).filter(([name]) => !names.includes(name)));

/** An object as it comes to be, less what only Helm has: its labels, and the checksum of a Secret that it would follow. */
function installed(thing: Thing): object {
  const labels = without(thing.metadata.labels, "app.kubernetes.io/managed-by", "helm.sh/chart");
  const found = structuredClone({ ...thing, metadata: { ...thing.metadata, labels } }) as Thing;
  if (thing.kind === "Deployment") delete found["spec"].template.metadata.annotations["checksum/mongodb"];
  if (thing["stringData"] === undefined) return found;
  const encoded = Object.entries(thing["stringData"] as Record<string, string>).map(([key, value]) => [key, btoa(value)]);
  return { ...without(found, "stringData"), data: Object.fromEntries(encoded) as object };
}

describe("deploy/runtime.yaml", () => {
  for (const helm of helms)
    it(`is what ${helm.name} renders (else: npm run manifest)`, () => {
      expect(plainManifest(templateText(helm, PLAIN_VALUES))).to.equal(text);
    });

  it("begins with a namespace that lets the Engines in, and puts everything else into it", () => {
    const [first, ...rest] = objectsIn(text).all;
    expect(first).to.deep.include({ apiVersion: "v1", kind: "Namespace" });
    expect(first?.metadata).to.deep.equal({ name: "runtime", labels: { "pod-security.kubernetes.io/enforce": "privileged" } });
    expect(rest.map(({ metadata }) => metadata.namespace)).to.satisfy(
      (all: string[]) => all.length > 0 && all.every((ns) => ns === "runtime"),
    );
  });

  it("marks three places, each before what the guide has people edit", () => {
    const marked = [...text.matchAll(/# EDIT (\d): .*\n(?:stringData:\n)? *(.*)/g)].map(([, place, line]) => `${place} ${line}`);
    expect(marked).to.have.members([
      "1 image: gcr.io/YOUR_PROJECT/runtime:latest",
      '2 MONGO_URI: "mongodb://your-mongodb:27017"',
      "3 - name: MAX_SEGMENT",
    ]);
  });

  it("says nothing of Helm, of replicas, or of what a Lease holds", () => {
    expect(text).not.to.match(/managed-by|helm\.sh|# Source:|^ +replicas:/m);
    expect(objectsIn(text).one("Lease")).to.have.all.keys("apiVersion", "kind", "metadata");
  });

  for (const helm of helms)
    it(`is, edited, what the chart installs with the same values by ${helm.name}`, () => {
      const edits = {
        mongoUri: "mongodb://u:p@mongo.example/?tls=true&w=majority",
        database: "trading",
        collection: "robots",
        maxSegment: 8,
      };
      const edited = objectsIn(editedManifest({ ...edits, image: "registry.example:5000/bots/runtime:1.10" })).all.slice(1);
      const values = {
        image: { repository: "registry.example:5000/bots/runtime", tag: "1.10" },
        mongodb: { uri: edits.mongoUri, database: "trading", collection: "robots" },
        bots: { maxSegment: 8 },
      };
      const rendered = objectsIn(templateText(helm, values)).all;
      expect(edited.map(installed)).to.have.deep.members(rendered.map(installed));
    });

  it("names an image that no cluster takes until it was edited", () => {
    expect(objectsIn(text).one("Deployment")["spec"].template.spec.containers[0].image).to.match(/[A-Z]/);
  });
});
