import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";

/** Where a script works: `runDir` goes away with the run, `cacheDir` outlives it, `say` tells the user one line. */
export interface Place {
  readonly runDir: string;
  readonly cacheDir: string;
  readonly say: Say;
}
export type Say = (line: string) => void;

/** Everything that is downloaded or built once lies here, never in the working tree. */
export async function openCache(env: NodeJS.ProcessEnv): Promise<string> {
  const dir = resolve(env["BOT_RUNNER_CACHE"] || join(homedir(), ".cache", "bot-runner"));
  await mkdir(dir, { recursive: true });
  return dir;
}

/** sha256 of a file in hex. */
export async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}
