import { expect } from "chai";

import type { Release } from "../../scripts/lib/cluster/product.ts";

/** What stands in a release: nothing in it changes unless something was scaled, replaced or restarted. */
async function standing(release: Release, bots: readonly string[]) {
  const path = "jsonpath={.spec.replicas} replicas, generation {.metadata.generation}";
  const count = await release.kubectl("get", "deployment", "runtime", "-o", path);
  const pods = await release.awaitPods(Number.parseInt(count, 10));
  return { count, pods: pods.map(({ uid }) => uid).toSorted(), containers: await release.awaitRunning(bots) };
}

/** Whatever is done: the count stays, no pod is replaced, no bot begins anew. */
export async function expectSteady(release: Release, bots: readonly string[], act: () => Promise<unknown>): Promise<void> {
  const before = await standing(release, bots);
  await act();
  expect(await standing(release, bots)).to.deep.equal(before);
}
