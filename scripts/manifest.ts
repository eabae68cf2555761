// Writes deploy/runtime.yaml, the chart for people without Helm; test/chart/manifest.test.ts fails when it drifts.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { openCache } from "./lib/cache.ts";
import { ensureHelm } from "./lib/cluster/tools.ts";
import { run } from "./lib/command.ts";
import { PLAIN_ARGS, PLAIN_VALUES, plainManifest } from "./lib/plain-manifest.ts";

const root = join(import.meta.dirname, "..");
const helm = await ensureHelm(4, { cacheDir: await openCache(process.env), say: (line) => console.error(`-- ${line}`) });
const dir = await mkdtemp(join(tmpdir(), "manifest-"));
try {
  const values = join(dir, "values.json");
  await writeFile(values, JSON.stringify(PLAIN_VALUES));
  const rendered = await run(helm, ["template", "runtime", join(root, "chart"), ...PLAIN_ARGS, "--values", values]);
  await mkdir(join(root, "deploy"), { recursive: true });
  await writeFile(join(root, "deploy", "runtime.yaml"), plainManifest(rendered));
} finally {
  await rm(dir, { recursive: true });
}
