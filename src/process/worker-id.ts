import { randomUUID } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** What names a worker for all its lives where neither Kubernetes nor a Docker Engine that is up can do so: an id made at
 *  the first start and kept in the state directory, whose lock only one process holds. */
export async function workerIdOf(stateDir: string): Promise<string> {
  const path = join(stateDir, "worker-id");
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  if (/^\S+\n$/.test(text)) return text.trimEnd();
  const id = randomUUID();
  await writeFile(`${path}.new`, `${id}\n`, { flush: true });
  await rename(`${path}.new`, path);
  return id;
}
