import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** The UID of the Deployment that a pod belongs to, kept in the pod's state directory: a process that comes back while the
 *  API server is away must not leave its bots to the fence for want of a name that it knew. */
export async function keptDeploymentUid(stateDir: string, ask: () => Promise<string>): Promise<string> {
  const path = join(stateDir, "deployment-uid");
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  if (/^\S+\n$/.test(text)) return text.trimEnd();
  const uid = await ask();
  await writeFile(`${path}.new`, `${uid}\n`);
  await rename(`${path}.new`, path);
  return uid;
}
