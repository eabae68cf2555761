import { readFile, rename, writeFile } from "node:fs/promises";

/** The file's text; empty where there is none. */
export async function readIfThere(path: string): Promise<string> {
  return readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
}

/** One word that is made or asked for once and stays: the file keeps it for every later process. A file that a process died
 *  writing says nothing. */
export async function keptLine(path: string, make: () => Promise<string> | string): Promise<string> {
  const text = await readIfThere(path);
  if (/^\S+\n$/.test(text)) return text.trimEnd();
  const line = await make();
  await writeFile(`${path}.new`, `${line}\n`, { flush: true });
  await rename(`${path}.new`, path);
  return line;
}
