import { openCache } from "../../scripts/lib/cache.ts";
import { ensureCrds } from "../../scripts/lib/cluster/crds.ts";

/** Teaches a cluster the kinds of KEDA and of the Prometheus operator, and waits until it knows them. */
export async function applyCrds(kubectl: (...words: readonly string[]) => Promise<string>): Promise<void> {
  const crds = await ensureCrds({ cacheDir: await openCache(process.env), say: () => undefined });
  const files = crds.flatMap((file) => ["-f", file]);
  await kubectl("apply", "--server-side", ...files);
  await kubectl("wait", "--for=condition=Established", "--timeout=30s", ...files);
}
