import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { expect } from "chai";

import { openCache } from "../../scripts/lib/cache.ts";
import type { ClusterFleet } from "../../scripts/lib/cluster/fleet.ts";
import type { Pod } from "../../scripts/lib/cluster/pods.ts";
import type { Release } from "../../scripts/lib/cluster/product.ts";
import { until } from "../../scripts/lib/command.ts";
import { PrivatePrometheus } from "../../scripts/lib/prometheus.ts";
import { discover, scrapesOf, type ServiceMonitor } from "../support/service-monitor.ts";

/** A real Prometheus beside a release with these pods and a ServiceMonitor. */
export function scraped(fleet: () => ClusterFleet, to: () => { readonly release: Release; readonly pods: readonly Pod[] }): void {
  it("is found by Prometheus through the ServiceMonitor's own selectors: each pod, and nothing else", async () => {
    const { release, pods } = to();
    const { namespace } = release.options;
    const count = pods.length;
    const items = async (...words: string[]) => (JSON.parse(await release.kubectl("get", ...words, "-o", "json")) as { items: [] }).items;
    const [monitor] = (await items("servicemonitors")) as ServiceMonitor[];
    // The same pods behind another name, as an Ingress may want them: they must not be counted twice.
    const { spec } = JSON.parse(await release.kubectl("get", "service", "runtime-service", "-o", "json")) as { spec: object };
    await release.apply({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "other" },
      spec: { ...spec, clusterIP: undefined, clusterIPs: undefined },
    });
    const targets = await until("endpoints of both services", 60_000, async () => {
      const found = discover(await items("services", "-A"), await items("endpointslices", "-A"));
      const of = (name: string) => found.filter(({ labels }) => labels["__meta_kubernetes_service_name"] === name).length;
      return of("runtime-service") === count && of("other") === count ? found : undefined;
    });
    const { runDir } = fleet().cluster;
    const file = join(runDir, "targets.json");
    await writeFile(file, JSON.stringify(targets));
    const place = { runDir, cacheDir: await openCache(process.env), say: () => undefined };
    const prometheus = await PrivatePrometheus.start({
      ...place,
      scrapes: scrapesOf(monitor as ServiceMonitor, file),
      everySeconds: 1,
    });
    try {
      const sees = (query: string, expected: number) =>
        until(`${query} is ${expected}`, 60_000, async () => (await prometheus.last(query)) === expected || undefined);
      const selector = `namespace="${namespace}", service="runtime-service"`;
      await sees(`count(up{${selector}} == 1)`, count);
      await sees(`max(botrunner_replicas_desired{${selector}})`, count);
      expect(await prometheus.last("count(up)")).to.equal(count);
      const found = (await prometheus.range(`up{${selector}}`)).map(({ metric }) => metric["pod"]);
      expect(found).to.have.members(pods.map(({ name }) => name));
    } finally {
      await prometheus.stop();
      await release.kubectl("delete", "service", "other");
    }
  });
}
