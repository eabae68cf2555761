import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { recordCgroup } from "../run-dir.ts";

/** Makes a cgroup and lets the run directory know of it: in each hierarchy of cgroup v1, or in the one of v2, where the
 *  controllers must be handed down first. */
export async function makeCgroup(runDir: string, name: string): Promise<void> {
  await recordCgroup(runDir, name);
  const root = "/sys/fs/cgroup";
  const controllers = await readFile(join(root, "cgroup.controllers"), "utf8").catch(() => undefined);
  if (controllers !== undefined) {
    const all = controllers.trim().split(" ");
    await writeFile(join(root, "cgroup.subtree_control"), all.map((c) => `+${c}`).join(" ")).catch(() => undefined);
    await mkdir(join(root, name), { recursive: true });
    return;
  }
  const seen = new Set<string>();
  for (const hierarchy of await readdir(root, { withFileTypes: true })) {
    // cpu and cpuacct may be links to one and the same.
    if (!hierarchy.isDirectory() || seen.has(hierarchy.name)) continue;
    seen.add(hierarchy.name);
    const dir = join(root, hierarchy.name, name);
    await mkdir(dir, { recursive: true });
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      const value = await readFile(join(root, hierarchy.name, file), "utf8").catch(() => undefined);
      if (value !== undefined) await writeFile(join(dir, file), value);
    }
  }
}
