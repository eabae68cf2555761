import { chmod } from "node:fs/promises";

import type { Say } from "./cache.ts";
import { fetchPackageFile } from "./debian.ts";

/** The path of Debian's promtool in the cache; nothing is installed. */
export const ensurePromtool = (cacheDir: string, say: Say): Promise<string> => ensure("promtool", cacheDir, say);

/** The same of Prometheus itself. */
export const ensurePrometheus = (cacheDir: string, say: Say): Promise<string> => ensure("prometheus", cacheDir, say);

async function ensure(program: string, cacheDir: string, say: Say): Promise<string> {
  const path = await fetchPackageFile({ cacheDir, say }, "prometheus", `usr/bin/${program}`);
  await chmod(path, 0o755);
  return path;
}
