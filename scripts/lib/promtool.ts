import { chmod } from "node:fs/promises";

import type { Say } from "./cache.ts";
import { fetchPackageFile } from "./debian.ts";

/** The path of Debian's promtool in the cache; nothing is installed. */
export async function ensurePromtool(cacheDir: string, say: Say): Promise<string> {
  const path = await fetchPackageFile({ cacheDir, say }, "prometheus", "usr/bin/promtool");
  await chmod(path, 0o755);
  return path;
}
