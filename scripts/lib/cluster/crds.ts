// Kinds that the chart has objects of and Kubernetes has not: KEDA's and the Prometheus operator's, as their Go modules have
// them. Each file lies in the cache and is taken for what its hash says.
import { copyFile, mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";

import { hashFile, type Place } from "../cache.ts";
import { run, withRetry } from "../command.ts";
import { ensureGo } from "./go.ts";

type Shelf = Omit<Place, "runDir">;
type Source = { readonly module: string; readonly dir: string; readonly files: Readonly<Record<string, string>> };

const sources: readonly Source[] = [
  {
    module: "github.com/kedacore/keda/v2@v2.21.0",
    dir: "config/crd/bases",
    files: {
      "keda.sh_scaledobjects.yaml": "af35555862a83933b074af14ad439c4b4ceabaf4daa3e9338e9b23e36d308d80",
      "keda.sh_triggerauthentications.yaml": "ed59ab37b2fa9a18119484a3dbd849b0b18ed25e1aea91d9f1305d4da2215bd8",
    },
  },
  {
    module: "github.com/prometheus-operator/prometheus-operator@v0.85.0",
    dir: "example/prometheus-operator-crd",
    files: {
      "monitoring.coreos.com_prometheusrules.yaml": "98fd16c9ab79fba8dcd6ef62c957c98cd6546ab74ce0a4ecf09ddf2fda03020e",
      "monitoring.coreos.com_servicemonitors.yaml": "1dae27b7189b5ce7b9ab764656c18b4c75a45cde1e6f3af6a5e84c4317628919",
    },
  },
];

/** Paths of the custom resource definitions. @throws {Error} naming what could not be had */
export async function ensureCrds(shelf: Shelf): Promise<readonly string[]> {
  const shelved = join(shelf.cacheDir, "cluster", "crds");
  await mkdir(shelved, { recursive: true });
  const paths: string[] = [];
  for (const { module, dir, files } of sources) {
    let from: string | undefined;
    for (const [file, hash] of Object.entries(files)) {
      const path = join(shelved, file);
      paths.push(path);
      if ((await hashFile(path).catch(() => "")) === hash) continue;
      from ??= join(await downloadModule(module, shelf), dir);
      await put(join(from, file), path, hash);
    }
  }
  return paths;
}

async function put(from: string, path: string, hash: string): Promise<void> {
  const half = `${path}.${process.pid}`;
  try {
    await copyFile(from, half);
    const found = await hashFile(half);
    if (found !== hash) throw new Error(`Cannot trust "${from}": its sha256 is ${found}, not ${hash}; go clean -modcache removes it`);
    await rename(half, path);
  } finally {
    await rm(half, { force: true });
  }
}

/** Where the module's files lie. What it depends on is not asked for; what we take of it has hashes of our own. */
async function downloadModule(module: string, { cacheDir, say }: Shelf): Promise<string> {
  const go = await ensureGo({ cacheDir, say });
  const env = { ...process.env, GOTOOLCHAIN: "local", GOWORK: "off", GOFLAGS: "-mod=mod", GOSUMDB: "off" };
  const what = `download the Go module ${module}`;
  const text = await withRetry(what, say, () => run(go, ["mod", "download", "-json", module], { cwd: cacheDir, env, timeoutMs: 300_000 }));
  return (JSON.parse(text) as { Dir: string }).Dir;
}
