// The product in a cluster of the user's: E2E_KUBECONFIG names it, E2E_IMAGE the pushed image, E2E_MONGO_URI a MongoDB that the
// pods and this machine reach. Helm and kubectl are those of the PATH. It makes one namespace and one database, and removes both.
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";

import { namesInSegments, Release } from "../../scripts/lib/cluster/product.ts";

const { E2E_KUBECONFIG: kubeconfig = "", E2E_IMAGE: image = "", E2E_MONGO_URI: mongoUri = "", E2E_VALUES: more = "{}" } = process.env;

describe("the product in a user's cluster", function () {
  if (kubeconfig === "") return; // for people who have one
  this.timeout(600_000);
  const ids = namesInSegments(3);
  const [, repository = "", tag = ""] = /^(.+):([^:/]+)$/.exec(image) ?? [];
  let release: Release;
  let runDir: string;

  before(async () => {
    if (repository === "" || mongoUri === "") throw new Error("Cannot test without E2E_IMAGE=repository:tag and E2E_MONGO_URI");
    runDir = await mkdtemp(join(tmpdir(), "bot-runner-e2e-"));
    const namespace = `bot-runner-e2e-${randomUUID().slice(0, 8)}`;
    const values = { ...(JSON.parse(more) as object), image: { repository, tag } };
    release = new Release({ cluster: { runDir, kubeconfig, bin: "", auditLog: "" }, namespace, mongoUri, helm: "helm", values });
    await release.bots.insertMany(
      ids.map((_id) => ({ _id, image: "busybox:1.37", args: ["sh", "-c", "while true; do date; sleep 1; done"], stopGraceSeconds: 1 })),
    );
    await release.install({ scaling: { cooldownSeconds: 5 } });
    await release.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=privileged");
  });
  after(async () => {
    await release.db.dropDatabase();
    await release.close();
    await release.kubectl("delete", "namespace", release.options.namespace, "--wait=false");
    await rm(runDir, { recursive: true });
  });

  it("runs each bot on a worker of its own, and one leader", async () => {
    await release.awaitPods(4, 300_000);
    await release.awaitRunning(ids, 300_000);
    expect(new Set([...(await release.states()).values()].map(({ worker }) => worker)).size).to.equal(3);
  });
  it("shrinks to the minimum without a restart of a bot", async () => {
    const containers = await release.awaitRunning(ids);
    await release.bots.deleteOne({ _id: ids[2] ?? "" });
    await release.awaitPods(3);
    containers.delete(ids[2] ?? "");
    expect(await release.awaitRunning(ids.slice(0, 2))).to.deep.equal(containers);
  });
  it("is gone after an uninstall", async () => {
    await release.uninstall();
    await release.awaitGone(180_000);
  });
});
